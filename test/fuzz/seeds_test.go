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

package fuzz

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// texts are bodies in JSON, which is YAML too: Jobs with all that has rules of its own, and what is none. JOB stands for the version and kind.
var texts = []string{
	`{JOB,"metadata":{"name":"a"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"a","image":"b"}]}}}}`,
	`{JOB,"metadata":{"generateName":"a-","labels":{"a":"b"},"finalizers":["example.com/a"]},"spec":{"suspend":true,"completionMode":"Indexed","completions":3,` +
		`"parallelism":2,"backoffLimitPerIndex":1,"maxFailedIndexes":2,"successPolicy":{"rules":[{"succeededIndexes":"0-1,2","succeededCount":1}]},` +
		`"podFailurePolicy":{"rules":[{"action":"FailIndex","onExitCodes":{"containerName":"a","operator":"In","values":[1,2]}},` +
		`{"action":"Ignore","onPodConditions":[{"type":"DisruptionTarget"}]}]},` +
		`"template":{"metadata":{"labels":{"a":"b"}},"spec":{"restartPolicy":"Never","containers":[{"name":"a","image":"b","ports":[{"containerPort":80}],` +
		`"resources":{"limits":{"cpu":"1500m","memory":"1.5Gi"}},"livenessProbe":{"httpGet":{"port":"web"}},"env":[{"name":"A","value":"1e9"}]}]}}}}`,
	`{JOB,"metadata":{"name":"a"},"spec":{"completions":1,"manualSelector":true,"selector":{"matchExpressions":[{"key":"a","operator":"In","values":["b"]}]},` +
		`"ttlSecondsAfterFinished":0,"activeDeadlineSeconds":1,"backoffLimit":0,"managedBy":"example.com/a","podReplacementPolicy":"Failed",` +
		`"template":{"metadata":{"labels":{"a":"b"}},"spec":{"restartPolicy":"OnFailure","containers":[{"name":"a","image":"b"}]}}},` +
		`"status":{"conditions":[{"type":"Complete","status":"True"}],"startTime":"2026-01-01T00:00:00Z","completionTime":"2026-01-01T00:00:01Z","active":1,` +
		`"succeeded":1,"failed":1,"terminating":1,"ready":1,"completedIndexes":"0,2-3","failedIndexes":"1","uncountedTerminatedPods":{"succeeded":["a"],"failed":["b"]}}}`,
	`{JOB,"metadata":{"name":"a"},"spec":{"disruptionPolicy":"Ignore","suspendPolicy":"KeepPods","workQueuePolicy":"RunUntilDeleted","parallelism":2,` +
		`"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"a","image":"b"}]}}}}`,
	`{JOB,"metadata":null,"spec":{"template":{"spec":{"containers":[null],"volumes":[null,{"emptyDir":{"sizeLimit":"1"}}]}}},"status":null}`,
	`{JOB,"metadata":{"creationTimestamp":null,"managedFields":[{"manager":"a","operation":"Apply","apiVersion":"batch/v1","fieldsType":"FieldsV1",` +
		`"fieldsV1":{"f:spec":{}}}],"ownerReferences":[{}]},"spec":{"selector":{},"template":{"metadata":{"creationTimestamp":"9999-12-31T23:59:59Z"}}}}`,
	`{JOB,"spec":{"parallelism":2147483648,"completions":1.5,"suspend":"true","suspend":false,"x":[[[[]]]]}}`,
	`{JOB,"spec":{"template":{"spec":{"containers":[{"resources":{"limits":{"cpu":"1e999999999"},"requests":{"memory":1e99}}}]}}}}`,
	`{JOB,"items":[{}]}`,
	`{"kind":"Job"}`, `{}`, `[]`, `null`, ``, "{JOB", "\xff", `{"apiVersion":"batch/v1","kind":"JobList","items":[{}]}`,
}

// seeds returns the examples and the texts in an encoding, for both groups. What can't be decoded, and so not encoded anew, is a seed of the encodings
// that are text.
func seeds(t testing.TB, encoding runtime.SerializerInfo) [][]byte {
	t.Helper()
	isText := encoding.MediaType == runtime.ContentTypeJSON || encoding.MediaType == runtime.ContentTypeYAML
	var all [][]byte
	for _, g := range groups {
		version := `"apiVersion":"` + g.version.String() + `","kind":"Job"`
		for _, text := range append(examples(t), texts...) {
			text = strings.ReplaceAll(text, "JOB", version)
			if isText {
				all = append(all, []byte(text))
				continue
			}
			// Without defaults: the fewer bytes, the more of them matter.
			object, _, err := codecs.UniversalDeserializer().Decode([]byte(text), nil, nil)
			if err != nil {
				continue
			}
			var data bytes.Buffer
			if err := encoding.Serializer.Encode(object, &data); err != nil {
				t.Fatalf("encoding %s: %v", text, err)
			}
			all = append(all, data.Bytes())
		}
	}
	return append(all, []byte("k8s\x00"), []byte("k8s\x00\x0a\xff\xff\xff\xff\x0f"), []byte("\xd9\xd9\xf7\xbf"),
		[]byte("a: &a [*a]"), []byte("a: &a {b: 1}\n<<: *a"), bytes.Repeat([]byte("["), 20_000), bytes.Repeat([]byte(`{"a":`), 20_000))
}

// examples returns the Jobs of the manifests that users begin with, in JSON.
func examples(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("../../artifacts/examples/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	var jobs []string
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(file))); ; {
			document, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			encoded, err := yaml.YAMLToJSON(document)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if bytes.Contains(encoded, []byte(`"kind":"Job"`)) {
				jobs = append(jobs, string(encoded))
			}
		}
	}
	return jobs
}
