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

package quantities_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	ourv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/quantities"
)

const huge = "1e999999999"

// decode decodes a body as the handlers of k8s.io/apiserver do.
func decode(t *testing.T, mediaType, body string, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, error) {
	t.Helper()
	serializers := quantities.Serializer(apiserver.Codecs, apiserver.Scheme)
	info, ok := runtime.SerializerInfoForMediaType(serializers.SupportedMediaTypes(), mediaType)
	if !ok {
		t.Fatalf("no serializer for %s", mediaType)
	}
	decoder := serializers.DecoderToVersion(info.StrictSerializer, schema.GroupVersion{Group: batch.GroupName, Version: runtime.APIVersionInternal})
	object, _, err := decoder.Decode([]byte(body), defaults, into)
	return object, err
}

// job returns a Job in JSON, with further text in its container.
func job(text string) string {
	return `{"apiVersion":"batch.jobserver.dev/v1","kind":"Job","metadata":{"name":"job"},"spec":{"template":{"spec":{"containers":[{"name":"main",` + text + `}]}}}}`
}

func limits(entries string) string { return job(`"resources":{"limits":{` + entries + `}}`) }

func TestSerializerRefuses(t *testing.T) {
	t.Parallel()
	const cpu = `spec.template.spec.containers[0].resources.limits[cpu]: Invalid value: `
	const yamlType = "application/yaml"
	yamlJob := func(value string) string {
		return "apiVersion: batch/v1\nkind: Job\nspec:\n  template:\n    spec:\n      containers:\n      - resources:\n          limits:\n            cpu: " + value + "\n"
	}
	for name, test := range map[string]struct{ mediaType, body, want string }{
		"exponent":             {runtime.ContentTypeJSON, limits(`"cpu":"1e999999999"`), cpu + `"1e999999999"`},
		"just too large":       {runtime.ContentTypeJSON, limits(`"cpu":"1e101"`), cpu + `"1e101"`},
		"negative":             {runtime.ContentTypeJSON, limits(`"cpu":"-1E-999999999"`), cpu + `"-1E-999999999"`},
		"leading zeros":        {runtime.ContentTypeJSON, limits(`"cpu":"1e+000000000000000000000999"`), cpu},
		"beyond 64 bits":       {runtime.ContentTypeJSON, limits(`"cpu":"1e99999999999999999999"`), cpu},
		"fraction":             {runtime.ContentTypeJSON, limits(`"cpu":".5e999999999"`), cpu},
		"white space":          {runtime.ContentTypeJSON, limits(`"cpu":" 1e999999999\n"`), cpu},
		"number":               {runtime.ContentTypeJSON, limits(`"cpu":1e999999999`), cpu},
		"digits":               {runtime.ContentTypeJSON, limits(`"cpu":"` + strings.Repeat("9", 101) + `"`), cpu + `"` + strings.Repeat("9", 64) + `..."`},
		"escaped":              {runtime.ContentTypeJSON, limits(`"cpu":"1\u0065999999999"`), cpu},
		"key escaped":          {runtime.ContentTypeJSON, limits(`"\u0063pu":"1e999999999"`), cpu},
		"first of two":         {runtime.ContentTypeJSON, limits(`"cpu":"1e999999999","cpu":"1"`), cpu},
		"second of two":        {runtime.ContentTypeJSON, limits(`"cpu":"1","cpu":"1e999999999"`), cpu},
		"kind from the path":   {runtime.ContentTypeJSON, strings.Replace(limits(`"cpu":"1e999999999"`), `"apiVersion":"batch.jobserver.dev/v1","kind":"Job",`, ``, 1), cpu},
		"size of a volume":     {runtime.ContentTypeJSON, job(`"x":1}],"volumes":[{},{"emptyDir":{"sizeLimit":"1e-999999999"}`), `spec.template.spec.volumes[1].emptyDir.sizeLimit: `},
		"divisor":              {runtime.ContentTypeJSON, job(`"env":[{"valueFrom":{"resourceFieldRef":{"divisor":"1e999"}}}]`), `containers[0].env[0].valueFrom.resourceFieldRef.divisor: `},
		"YAML":                 {yamlType, yamlJob(huge + "x\n            memory: " + huge), `limits[memory]`},
		"YAML in quotes":       {yamlType, yamlJob(`"1e99\x39999999"`), cpu},
		"YAML over two lines":  {yamlType, yamlJob("\"1e9999\\\n  99999\""), cpu},
		"YAML in base64":       {yamlType, yamlJob("!!binary " + base64.StdEncoding.EncodeToString([]byte(huge))), cpu},
		"YAML by an alias":     {yamlType, "x: &x " + huge + "x\ny: &y \"" + huge + "\"\n" + yamlJob("*y"), cpu},
		"protobuf":             {runtime.ContentTypeProtobuf, protobufJob(t, huge), cpu + `"1e999999999"`},
		"hub type, by Go name": {runtime.ContentTypeJSON, `{"apiVersion":"batch/__internal","kind":"Job","Spec":{"Template":{"spec":{"overhead":{"cpu":"1e999999999"}}}}}`, `Spec.Template.spec.overhead[cpu]`},
	} {
		defaults := ourv1.SchemeGroupVersion.WithKind("Job")
		if _, err := decode(t, test.mediaType, test.body, &defaults, &batch.Job{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %s", name, err, test.want)
		}
	}
}

// TestSerializerKnowsTheKind: as a decoder does, from the object that is decoded into where nothing else tells.
func TestSerializerKnowsTheKind(t *testing.T) {
	t.Parallel()
	body := `{"Spec":{"Template":{"spec":{"overhead":{"cpu":"1e999999999"}}}}}`
	if _, err := decode(t, runtime.ContentTypeJSON, body, nil, &batch.Job{}); err == nil || !strings.Contains(err.Error(), "overhead[cpu]") {
		t.Errorf("error %v, want one about overhead[cpu]", err)
	}
}

// protobufJob returns a Job with a limit that no quantity of Go could have: the text is put in afterwards.
func protobufJob(t *testing.T, limit string) string {
	t.Helper()
	stand := strings.Repeat("7", len(limit))
	job := &ourv1.Job{TypeMeta: metav1.TypeMeta{APIVersion: "batch.jobserver.dev/v1", Kind: "Job"}}
	job.Spec.Template.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{
		Limits: corev1.ResourceList{"memory": resource.MustParse("1"), "cpu": resource.MustParse(stand)},
	}}}
	info, _ := runtime.SerializerInfoForMediaType(apiserver.Codecs.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
	encoded, err := runtime.Encode(info.Serializer, job)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(encoded), stand) {
		t.Fatal("the encoded Job lacks its limit")
	}
	return strings.Replace(string(encoded), stand, limit, 1)
}

// TestSerializerAccepts: what is no quantity may look like one, and large quantities are as in Kubernetes.
func TestSerializerAccepts(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"large":              limits(`"cpu":"1e100","memory":"` + strings.Repeat("1", 100) + `"`),
		"an argument":        job(`"args":["1e999999999","1\u0065999","` + strings.Repeat("1", 1000) + `"]`),
		"in an annotation":   strings.Replace(job(`"image":"x"`), `"name":"job"`, `"name":"job","annotations":{"a":"1e999999999","cpu":"1e999999999"}`, 1),
		"an environment":     job(`"env":[{"name":"limits","value":"1e999999999"}]`),
		"a UID":              strings.Replace(job(`"image":"x"`), `"name":"job"`, `"name":"job","uid":"1e999999-0000"`, 1),
		"deeply nested":      strings.Replace(job(`"args":["1e999"]`), `"name":"job"`, `"name":"job","annotations":{"a":"`+strings.Repeat("[", 10_000)+`"}`, 1),
		"limits of no list":  `{"apiVersion":"batch.jobserver.dev/v1","kind":"Job","spec":{"template":{"spec":{"nodeSelector":{"limits":"1e999"}}}}}`,
		"zero with exponent": limits(`"cpu":"0"`),
	} {
		if _, err := decode(t, runtime.ContentTypeJSON, body, nil, nil); err != nil {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := decode(t, runtime.ContentTypeProtobuf, protobufJob(t, "1e9"), nil, nil); err != nil {
		t.Errorf("protobuf: error %v", err)
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	const smp, apply, merge = "application/strategic-merge-patch+json", "application/apply-patch+yaml", "application/merge-patch+json"
	bad := `{"spec":{"template":{"spec":{"containers":[{"$patch":"replace"},{"resources":{"requests":{"cpu":"1e999999999"}}}]}}}}`
	const maxBytes = 1000
	for name, test := range map[string]struct {
		method, contentType, group, resource, body string
		refused                                    bool
	}{
		"strategic merge":      {http.MethodPatch, smp, "batch", "jobs", bad, true},
		"our group":            {http.MethodPatch, smp, "batch.jobserver.dev", "jobs", bad, true},
		"apply":                {http.MethodPatch, apply, "batch", "jobs", bad, true},
		"apply in YAML":        {http.MethodPatch, apply, "batch", "jobs", "spec: {template: {spec: {overhead: {cpu: '1e999999999', a: !!binary MQ==}}}}", true},
		"with parameters":      {http.MethodPatch, apply + "; ;;x", "batch", "jobs", bad, true},
		"Pods":                 {http.MethodPatch, smp, "", "pods", `{"spec":{"overhead":{"cpu":"1e999999999"}}}`, true},
		"Nodes":                {http.MethodPatch, smp, "", "nodes", `{"status":{"capacity":{"cpu":"1e999999999"}}}`, true},
		"harmless":             {http.MethodPatch, smp, "batch", "jobs", `{"metadata":{"annotations":{"a":"1e999999999"}}}`, false},
		"larger than allowed":  {http.MethodPatch, smp, "batch", "jobs", bad + strings.Repeat(" ", maxBytes), true},
		"cut by the limit":     {http.MethodPatch, smp, "batch", "jobs", strings.Repeat(" ", maxBytes) + bad, false},
		"merge has a decoder":  {http.MethodPatch, merge, "batch", "jobs", bad, false},
		"no patch":             {http.MethodPut, smp, "batch", "jobs", bad, false},
		"kind without any":     {http.MethodPatch, smp, "", "secrets", bad, false},
		"resource of nobody":   {http.MethodPatch, smp, "apps", "deployments", bad, false},
		"broken":               {http.MethodPatch, smp, "batch", "jobs", bad[:60] + "1e999999999", false},
		"nothing but a number": {http.MethodPatch, smp, "batch", "jobs", huge, false},
	} {
		handled := ""
		handler := quantities.Filter(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body, err := io.ReadAll(req.Body)
			if err != nil {
				t.Error(err)
			}
			handled = string(body)
		}), apiserver.Scheme, apiserver.Codecs, maxBytes)
		req := httptest.NewRequestWithContext(t.Context(), test.method, "/", strings.NewReader(test.body))
		req.Header.Set("Content-Type", test.contentType)
		req = req.WithContext(request.WithRequestInfo(req.Context(), &request.RequestInfo{
			IsResourceRequest: true, APIGroup: test.group, APIVersion: "v1", Resource: test.resource, Name: "x",
		}))
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, req)
		if test.refused != (answer.Code == http.StatusUnprocessableEntity) || test.refused == (handled == test.body) {
			t.Errorf("%s: answer %d %s, handled %d of %d bytes; want refused %t", name, answer.Code, answer.Body, len(handled), len(test.body), test.refused)
		}
		if test.refused && !strings.Contains(answer.Body.String(), `with an exponent between`) {
			t.Errorf("%s: answer %s doesn't say why", name, answer.Body)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, serializers := range map[string]runtime.NegotiatedSerializer{
		"guarded": quantities.Serializer(apiserver.Codecs, apiserver.Scheme), "bare": apiserver.Codecs,
	} {
		for args, text := range map[string]string{"plain": "hello", "suspicious": "1e999999999"} {
			b.Run(fmt.Sprintf("%s/%s", name, args), func(b *testing.B) {
				info, _ := runtime.SerializerInfoForMediaType(serializers.SupportedMediaTypes(), runtime.ContentTypeJSON)
				decoder := serializers.DecoderToVersion(info.Serializer, schema.GroupVersion{Group: batch.GroupName, Version: runtime.APIVersionInternal})
				body := []byte(job(`"args":["` + text + `"],"env":[{"name":"a","value":"b"}],"resources":{"limits":{"cpu":"100m","memory":"1Gi"}}`))
				for b.Loop() {
					if _, _, err := decoder.Decode(body, nil, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
