/*
Copyright 2026 The Jobserver Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package tests

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

const protobufType = "application/vnd.kubernetes.protobuf"

// protobufMagic is what every object in protobuf begins with.
var protobufMagic = []byte("k8s\x00")

// message is a part of an object in protobuf.
type message interface {
	Marshal() ([]byte, error)
	Unmarshal(data []byte) error
}

// inProtobuf is an object of a kind in the test's group, as it goes over the wire. Jobs of both groups have the same numbers of the
// fields that they share.
func inProtobuf(t *suite.T, kind string, object message) []byte {
	inner, err := object.Marshal()
	t.Must(err)
	envelope := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: t.Target().Jobs.GroupVersion().String(), Kind: kind}, Raw: inner}
	outer, err := envelope.Marshal()
	t.Must(err)
	return append(bytes.Clone(protobufMagic), outer...)
}

// fromProtobuf reads an object in protobuf, and returns its apiVersion and kind.
func fromProtobuf(t *suite.T, body []byte, into message) string {
	inner, found := bytes.CutPrefix(body, protobufMagic)
	if !found {
		t.Fatalf("the body is not protobuf: %q", body)
	}
	var envelope runtime.Unknown
	t.Must(envelope.Unmarshal(inner))
	t.Must(into.Unmarshal(envelope.Raw))
	return envelope.APIVersion + " " + envelope.Kind
}

// answered says where an answer has another code or media type.
func answered(t *suite.T, response suite.Response, code int, mediaType string) {
	got := fmt.Sprint(response.Code, " ", response.Header.Get("Content-Type"))
	if want := fmt.Sprint(code, " ", mediaType); got != want {
		t.Errorf("the answer is %s, want %s: %.300q", got, want, response.Body)
	}
}

// kindOf is a kind with the version that the test is about.
func kindOf(t *suite.T, kind string) string {
	return t.Target().Jobs.GroupVersion().String() + " " + kind
}

// spoken is a test of a server that speaks protobuf.
func spoken(name, description string, run func(t *suite.T)) suite.Test {
	return suite.Test{Name: name, Description: description, Source: "API conventions; reference 1.2", Features: []suite.Feature{suite.FeatureProtobuf}, Run: run}
}

// Protobuf in answers and in requests.
func init() {
	subject("Protobuf",
		spoken("Get", "A Job can be read as protobuf, and is the same as in JSON.", func(t *suite.T) {
			want := t.Create(newJob(suspended, completions(7), parallelism(3), managedBy("example.com/controller"), ttl(60)))
			response := t.Do(suite.Request{Path: "job", Accept: protobufType})
			answered(t, response, 200, protobufType)
			var got batchv1.Job
			suite.Equal(t, "kind", fromProtobuf(t, response.Body, &got), kindOf(t, "Job"))
			suite.Equal(t, "Job", got.Spec, want.Spec)
			suite.Equal(t, "uid and resourceVersion", [2]string{string(got.UID), got.ResourceVersion}, [2]string{string(want.UID), want.ResourceVersion})
		}),
		spoken("Create", "A Job can be sent as protobuf.", func(t *suite.T) {
			response := t.Do(suite.Request{
				Method: "POST", ContentType: protobufType, Accept: protobufType, Body: inProtobuf(t, "Job", newJob(suspended, indexed(4), backoffLimitPerIndex(2))),
			})
			answered(t, response, 201, protobufType)
			var got batchv1.Job
			suite.Equal(t, "kind", fromProtobuf(t, response.Body, &got), kindOf(t, "Job"))
			found := t.Get(&got)
			suite.Equal(t, "Job that was made", got.Spec, found.Spec)
			suite.Equal(t, "fields", [3]any{*found.Spec.Completions, *found.Spec.CompletionMode, *found.Spec.BackoffLimitPerIndex}, [3]any{int32(4), batchv1.IndexedCompletion, int32(2)})
		}),
		spoken("Update", "A Job can be changed as protobuf, its status too.", func(t *suite.T) {
			job := t.Create(newJob(managedBy("example.com/controller")))
			job.ResourceVersion, job.Spec.Parallelism = "", newJob(parallelism(5)).Spec.Parallelism
			answered(t, t.Do(suite.Request{Method: "PUT", Path: "job", ContentType: protobufType, Accept: protobufType, Body: inProtobuf(t, "Job", job)}), 200, protobufType)
			job.Status.Active = 2
			response := t.Do(suite.Request{Method: "PUT", Path: "job/status", ContentType: protobufType, Accept: protobufType, Body: inProtobuf(t, "Job", job)})
			answered(t, response, 200, protobufType)
			found := t.Get(job)
			suite.Equal(t, "parallelism and active", [2]int32{*found.Spec.Parallelism, found.Status.Active}, [2]int32{5, 2})
		}),
		spoken("Patch", "The answer to a patch in JSON can be protobuf.", func(t *suite.T) {
			t.Create(newJob(suspended))
			response := t.Do(suite.Request{Method: "PATCH", Path: "job", ContentType: "application/merge-patch+json", Accept: protobufType, Body: []byte(`{"spec":{"parallelism":4}}`)})
			answered(t, response, 200, protobufType)
			var got batchv1.Job
			fromProtobuf(t, response.Body, &got)
			suite.Equal(t, "parallelism", or(got.Spec.Parallelism, 0), 4)
		}),
		spoken("List", "Jobs can be listed as protobuf.", func(t *suite.T) {
			t.Create(newJob(named("a"), suspended))
			t.Create(newJob(named("b"), suspended, parallelism(6)))
			response := t.Do(suite.Request{Accept: protobufType})
			answered(t, response, 200, protobufType)
			var got batchv1.JobList
			suite.Equal(t, "kind", fromProtobuf(t, response.Body, &got), kindOf(t, "JobList"))
			if len(got.Items) != 2 || got.Items[1].Name != "b" || or(got.Items[1].Spec.Parallelism, 0) != 6 || got.ResourceVersion == "" {
				t.Errorf("the list is %v", got)
			}
		}),
		spoken("Watch", "Jobs can be watched as protobuf.", func(t *suite.T) {
			t.Create(newJob(managedBy("example.com/controller"), parallelism(6)))
			answer := t.Open(suite.Request{Path: "?watch=true", Accept: protobufType})
			defer answer.Body.Close()
			suite.Equal(t, "media type", answer.Header.Get("Content-Type"), protobufType+";stream=watch")
			// Each event is preceded by its length.
			var length uint32
			t.Must(binary.Read(answer.Body, binary.BigEndian, &length))
			frame := make([]byte, length)
			_, err := io.ReadFull(answer.Body, frame)
			t.Must(err)
			var event metav1.WatchEvent
			t.Must(event.Unmarshal(frame))
			var got batchv1.Job
			kind := fromProtobuf(t, event.Object.Raw, &got)
			suite.Equal(t, "event", [4]any{event.Type, kind, got.Name, or(got.Spec.Parallelism, 0)}, [4]any{"ADDED", kindOf(t, "Job"), "job", int32(6)})
		}),
	)
}

// Errors, and what is not protobuf.
func init() {
	subject("Protobuf",
		spoken("Error", "An error can be protobuf, too.", func(t *suite.T) {
			response := t.Do(suite.Request{Path: "job", Accept: protobufType})
			answered(t, response, 404, protobufType)
			var got metav1.Status
			suite.Equal(t, "kind", fromProtobuf(t, response.Body, &got), "v1 Status")
			suite.Equal(t, "reason", got.Reason, metav1.StatusReasonNotFound)
		}),
		spoken("Metadata", "The metadata of a Job can be read as protobuf, without the rest.", func(t *suite.T) {
			job := t.Create(newJob(suspended))
			response := t.Do(suite.Request{Path: "job", Accept: protobufType + ";as=PartialObjectMetadata;v=v1;g=meta.k8s.io"})
			suite.Equal(t, "code", response.Code, 200)
			var got metav1.PartialObjectMetadata
			suite.Equal(t, "kind", fromProtobuf(t, response.Body, &got), "meta.k8s.io/v1 PartialObjectMetadata")
			suite.Equal(t, "uid", got.UID, job.UID)
		}),
		spoken("NoPatch", "A patch can't be protobuf.", func(t *suite.T) {
			job := t.Create(newJob(suspended))
			suite.Equal(t, "code", t.Do(suite.Request{Method: "PATCH", Path: "job", ContentType: protobufType, Body: inProtobuf(t, "Job", job)}).Code, 415)
		}),
		spoken("NoTable", "A table is not served as protobuf.", func(t *suite.T) {
			suite.Equal(t, "code", t.Do(suite.Request{Accept: protobufType + ";as=Table;v=v1;g=meta.k8s.io"}).Code, 406)
		}),
		spoken("Broken", "What is no protobuf, or ends too early, is refused.", func(t *suite.T) {
			whole := inProtobuf(t, "Job", newJob(suspended))
			for what, body := range map[string][]byte{"JSON": raw(t, newJob(suspended)), "cut": whole[:len(whole)-9], "nothing": nil} {
				if response := t.Do(suite.Request{Method: "POST", ContentType: protobufType, Body: body}); response.Code != 400 {
					t.Errorf("%s: the answer is %d %s", what, response.Code, response.Body)
				}
			}
			suite.Equal(t, "Jobs", listed(t, metav1.ListOptions{}), nil)
		}),
		spoken("AnotherKind", "An object in protobuf that is no Job is refused.", func(t *suite.T) {
			response := t.Do(suite.Request{Method: "POST", ContentType: protobufType, Body: inProtobuf(t, "Chair", newJob(suspended))})
			suite.Equal(t, "code", response.Code, 400)
		}),
	)
}

// accepting is the answer to a read of the Job that takes these media types.
func accepting(t *suite.T, accept string) suite.Response {
	return t.Do(suite.Request{Path: "job", Accept: accept})
}

// Media types, and which of them is chosen.
func init() {
	subject("Media",
		suite.Test{
			Name: "NotAcceptable", Description: "Who accepts only media types that there are not gets none, and a list of those that there are.", Source: "API conventions",
			Run: func(t *suite.T) {
				t.Create(newJob(suspended))
				for _, accept := range []string{"application/xml", "text/html", "application/cbor", "application/json;v=v2", "application/json;as=Chair;v=v1;g=meta.k8s.io"} {
					response := accepting(t, accept)
					if response.Code != http.StatusNotAcceptable || !strings.Contains(string(response.Body), "application/json, application/yaml, "+protobufType) {
						t.Errorf("%s: the answer is %d %s", accept, response.Code, response.Body)
					}
				}
			},
		},
		suite.Test{
			Name: "FirstThatThereIs", Description: "Of several media types that a client accepts, the first that there is is served.", Source: "API conventions",
			Run: func(t *suite.T) {
				t.Create(newJob(suspended))
				for accept, want := range map[string]string{
					"application/xml, application/json;q=0.5":                        "application/json",
					"application/json;as=Chair;v=v1;g=meta.k8s.io, application/json": "application/json",
					"*/*":              "application/json",
					"application/yaml": "application/yaml",
					"application/yaml;q=0.3, application/json;q=0.8":                           "application/json",
					"application/json;as=Table;v=v1beta9;g=meta.k8s.io, application/yaml, */*": "application/yaml",
				} {
					answered(t, accepting(t, accept), 200, want)
				}
			},
		},
		suite.Test{
			Name: "Unsupported", Description: "A body in a media type that there is not is refused, whatever it is for.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				body := raw(t, job)
				for _, request := range []suite.Request{
					{Method: "POST", ContentType: "application/cbor", Body: body},
					{Method: "POST", ContentType: "application/xml", Body: body},
					{Method: "PUT", Path: "job", ContentType: "text/plain", Body: body},
					{Method: "PUT", Path: "job/status", ContentType: "text/plain", Body: body},
					{Method: "PATCH", Path: "job", ContentType: "application/json", Body: body},
					{Method: "PATCH", Path: "job/status", ContentType: "text/plain", Body: body},
					{Method: "PATCH", Path: "job?fieldManager=one", ContentType: "application/apply-patch+cbor", Body: body},
				} {
					if response := t.Do(request); response.Code != http.StatusUnsupportedMediaType {
						t.Errorf("%s %s %s: the answer is %d %s", request.Method, request.Path, request.ContentType, response.Code, response.Body)
					}
				}
			},
		},
	)
}

// Kinds and methods besides.
func init() {
	subject("Media",
		suite.Test{
			Name: "Metadata", Description: "The metadata of Jobs can be read without the rest, one by one and in a list.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended, func(job *batchv1.Job) { job.Annotations = map[string]string{"a": "b"} }))
				var one map[string]any
				t.JSON(accepting(t, "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"), &one)
				_, hasSpec := one["spec"]
				suite.Equal(t, "kind, and whether there is a spec", [2]any{one["kind"], hasSpec}, [2]any{"PartialObjectMetadata", false})
				var list metav1.PartialObjectMetadataList
				t.JSON(t.Do(suite.Request{Accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}), &list)
				if list.Kind != "PartialObjectMetadataList" || len(list.Items) != 1 || list.Items[0].UID != job.UID || list.Items[0].Annotations["a"] != "b" {
					t.Errorf("the list is %v", list)
				}
			},
		},
		suite.Test{
			Name: "MethodNotAllowed", Description: "A collection can't be replaced or patched, and a Job is not created by POST to its name.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				for _, request := range []suite.Request{
					{Method: "PUT", Body: raw(t, job)}, {Method: "PATCH", ContentType: "application/merge-patch+json", Body: []byte("{}")},
					{Method: "POST", Path: "job", Body: raw(t, job)}, {Method: "DELETE", Path: "job/status"}, {Method: "POST", Path: "job/status", Body: raw(t, job)},
				} {
					if response := t.Do(request); response.Code != http.StatusMethodNotAllowed {
						t.Errorf("%s %s: the answer is %d %s", request.Method, request.Path, response.Code, response.Body)
					}
				}
			},
		},
	)
}
