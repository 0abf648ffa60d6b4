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

package utf8only_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	ourv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/utf8only"
)

func TestFilter(t *testing.T) {
	t.Parallel()
	const jsonType = "application/json"
	for name, test := range map[string]struct{ contentType, body, want string }{
		"ASCII":                    {jsonType, `{"a":"b"}`, ""},
		"empty":                    {jsonType, "", ""},
		"characters of all sizes":  {jsonType, `{"a":"äあ😀ä"}`, ""},
		"a lone byte":              {jsonType, "{\"a\":\"\xff\"}", "the body is not UTF-8: the character at byte 6"},
		"behind others":            {jsonType, "あ😀\xc3", "byte 7"},
		"cut at the end":           {jsonType, "a\xf0\x9f\x98", "byte 1"},
		"cut by another":           {jsonType, "\xe3\x81a", "byte 0"},
		"a surrogate":              {jsonType, "\xed\xa0\x80", "byte 0"},
		"too long":                 {jsonType, "\xc0\xaf", "byte 0"},
		"a charset":                {"application/json; charset=utf-8", "\xff", "byte 0"},
		"a patch":                  {"application/strategic-merge-patch+json", "\xff", "byte 0"},
		"no type":                  {"", "\xff", "byte 0"},
		"protobuf":                 {"application/vnd.kubernetes.protobuf", "\xff", ""},
		"YAML, which has a parser": {"application/yaml", "\xff", ""},
	} {
		for size, split := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "in halves": iotest.HalfReader, "with its end": iotest.DataErrReader,
		} {
			t.Run(name+", "+size, func(t *testing.T) {
				t.Parallel()
				handler := utf8only.Filter(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
					got, err := io.ReadAll(req.Body)
					if test.want == "" {
						if err != nil || string(got) != test.body {
							t.Errorf("got %q and %v, want all", got, err)
						}
						return
					}
					if err == nil || !strings.Contains(err.Error(), test.want) {
						t.Errorf("error %v, want %s", err, test.want)
					}
				}))
				req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", split(strings.NewReader(test.body)))
				req.Header.Set("Content-Type", test.contentType)
				handler.ServeHTTP(httptest.NewRecorder(), req)
			})
		}
	}
}

func TestSerializer(t *testing.T) {
	t.Parallel()
	const bad = "a\xffb"
	for name, test := range map[string]struct {
		change func(job *ourv1.Job)
		want   string
	}{
		"valid":               {func(job *ourv1.Job) { job.Annotations = map[string]string{"ä": "あ"} }, ""},
		"name":                {func(job *ourv1.Job) { job.Name = bad }, "metadata.name is not UTF-8"},
		"key":                 {func(job *ourv1.Job) { job.Labels = map[string]string{bad: "a"} }, `metadata.labels["a\xffb"] is not UTF-8`},
		"value":               {func(job *ourv1.Job) { job.Annotations = map[string]string{"a": bad} }, `metadata.annotations["a"] is not UTF-8`},
		"pointer":             {func(job *ourv1.Job) { job.Spec.ManagedBy = new(bad) }, "spec.managedBy is not UTF-8"},
		"string of some type": {func(job *ourv1.Job) { job.Spec.DisruptionPolicy = new(ourv1.DisruptionPolicy(bad)) }, "spec.disruptionPolicy is not UTF-8"},
		"in lists": {func(job *ourv1.Job) {
			job.Spec.Template.Spec.Containers = []corev1.Container{{}, {Command: []string{"a", bad}}}
		}, "spec.template.spec.containers[1].command[1] is not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := &ourv1.Job{TypeMeta: metav1.TypeMeta{APIVersion: "batch.jobserver.dev/v1", Kind: "Job"}}
			test.change(job)
			serializers := utf8only.Serializer(apiserver.Codecs)
			info, _ := runtime.SerializerInfoForMediaType(serializers.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
			var data bytes.Buffer
			if err := info.Serializer.Encode(job, &data); err != nil {
				t.Fatal(err)
			}
			_, _, err := serializers.DecoderToVersion(info.StrictSerializer, batch.SchemeGroupVersion).Decode(data.Bytes(), nil, nil)
			if got := message(err); got != test.want {
				t.Errorf("error %q, want %q", got, test.want)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
