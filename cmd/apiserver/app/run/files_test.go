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

package run_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobserver-dev/jobserver/cmd/apiserver/app/run"
)

const (
	jobYAML = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\n"
	jobJSON = `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"b"}}`
	list    = `{"apiVersion":"v1","kind":"List","items":[` + jobJSON + `,{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}]}`
)

func TestReadFiles(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		files []string
		stdin string
		want  []string // kind/name
	}{
		"YAML":                 {files: []string{jobYAML}, want: []string{"Job/a"}},
		"JSON":                 {files: []string{jobJSON}, want: []string{"Job/b"}},
		"two files, in order":  {files: []string{jobJSON, jobYAML}, want: []string{"Job/b", "Job/a"}},
		"several documents":    {files: []string{"---\n" + jobYAML + "---\n# nothing here\n---\n" + jobYAML}, want: []string{"Job/a", "Job/a"}},
		"JSON after JSON":      {files: []string{jobJSON + "\n" + jobJSON}, want: []string{"Job/b", "Job/b"}},
		"a list":               {files: []string{list}, want: []string{"Job/b", "ConfigMap/c"}},
		"standard input":       {files: []string{"-"}, stdin: jobYAML, want: []string{"Job/a"}},
		"a file between blank": {files: []string{"\n\n" + jobYAML + "\n\n"}, want: []string{"Job/a"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, err := run.ReadFiles(write(t, test.files), strings.NewReader(test.stdin))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, object := range objects {
				got = append(got, object.GetKind()+"/"+object.GetName())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadFilesErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		files []string
		want  string
	}{
		"no such file":              {files: []string{"/nonexistent/job.yaml"}, want: "/nonexistent/job.yaml"},
		"nothing":                   {files: []string{"# only a comment\n"}, want: "no object found"},
		"nothing on standard input": {files: []string{"-"}, want: "standard input: no object found"},
		"broken YAML":               {files: []string{"apiVersion: [batch/v1"}, want: "document 1"},
		"broken second document":    {files: []string{jobYAML + "---\nkind: [Job\n"}, want: "document 2"},
		"no kind":                   {files: []string{"apiVersion: batch/v1\nmetadata: {name: a}\n"}, want: "kind is not set"},
		"no apiVersion":             {files: []string{"kind: Job\nmetadata: {name: a}\n"}, want: "apiVersion is not set"},
		"a kind that is no string":  {files: []string{"apiVersion: batch/v1\nkind: 3\n"}, want: "kind is not set"},
		"text":                      {files: []string{"just some words"}, want: "document 1"},
		"a list item without kind":  {files: []string{`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1"}]}`}, want: "kind is not set"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, err := run.ReadFiles(write(t, test.files), strings.NewReader(""))
			if err == nil {
				t.Fatalf("read %v, want an error", objects)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
		})
	}
}

// write puts each content into a file of its own; names that are no content stay as they are.
func write(t *testing.T, contents []string) []string {
	t.Helper()
	var names []string
	for _, content := range contents {
		if content == "-" || strings.HasPrefix(content, "/") {
			names = append(names, content)
			continue
		}
		file, err := os.CreateTemp(t.TempDir(), "manifest")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString(content); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		names = append(names, filepath.Clean(file.Name()))
	}
	return names
}
