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

package core_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestTables asks for tables as kubectl get does and looks at the columns of each kind and the first row. A column in
// parentheses is for wide output only.
func TestTables(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ctx := t.Context()
	s.createNamespace(t, newNamespace("default"))
	s.createPod(t, newPod("p", onNode), corev1.PodRunning)
	mustCreate := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mustCreate(s.Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, metav1.CreateOptions{}))
	mustCreate(s.Events("default").Create(ctx, newEvent("e"), metav1.CreateOptions{}))
	mustCreate(s.Secrets("default").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"k": "v"}}, metav1.CreateOptions{}))
	mustCreate(s.ConfigMaps("default").Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "c"}, Data: map[string]string{"k": "v"}, BinaryData: map[string][]byte{"b": {1}},
	}, metav1.CreateOptions{}))

	for path, tc := range map[string]struct {
		columns []string
		// cells are those of the first row up to its age, which is left out.
		cells []any
	}{
		"namespaces":                      {[]string{"Name", "Status", "Age"}, []any{"default", "Active"}},
		"namespaces/default":              {[]string{"Name", "Status", "Age"}, []any{"default", "Active"}},
		"namespaces/default/pods":         {[]string{"Name", "Ready", "Status", "Restarts", "Age", "(IP)", "(Node)", "(Nominated Node)", "(Readiness Gates)"}, []any{"p", "0/1", "Running", "0"}},
		"namespaces/default/pods/p":       {[]string{"Name", "Ready", "Status", "Restarts", "Age", "(IP)", "(Node)", "(Nominated Node)", "(Readiness Gates)"}, []any{"p", "0/1", "Running", "0"}},
		"nodes":                           {[]string{"Name", "Status", "Roles", "Age", "Version", "(Internal-IP)", "(External-IP)", "(OS-Image)", "(Kernel-Version)", "(Container-Runtime)"}, []any{"n", "Unknown", "<none>"}},
		"namespaces/default/events":       {[]string{"Last Seen", "Type", "Reason", "Object", "(Subobject)", "(Source)", "Message", "(First Seen)", "(Count)", "(Name)"}, []any{"<unknown>", "Normal", "Completed", "job/hello", "", "job-controller", "Job completed"}},
		"namespaces/default/secrets":      {[]string{"Name", "Type", "Data", "Age"}, []any{"s", "Opaque", float64(1)}},
		"namespaces/default/configmaps":   {[]string{"Name", "Data", "Age"}, []any{"c", float64(2)}},
		"namespaces/default/configmaps/c": {[]string{"Name", "Data", "Age"}, []any{"c", float64(2)}},
	} {
		response := s.get(ctx, t, "/api/v1/"+path, http.Header{"Accept": {"application/json;as=Table;v=v1;g=meta.k8s.io"}})
		var table metav1.Table
		if err := json.NewDecoder(response.Body).Decode(&table); err != nil || table.Kind != "Table" || len(table.Rows) == 0 {
			t.Errorf("%s: %d, kind %q, %d rows, %v", path, response.StatusCode, table.Kind, len(table.Rows), err)
			continue
		}
		var columns []string
		for _, c := range table.ColumnDefinitions {
			if c.Priority > 0 {
				c.Name = "(" + c.Name + ")"
			}
			columns = append(columns, c.Name)
			if c.Description == "" {
				t.Errorf("%s: column %s has no description", path, c.Name)
			}
		}
		if diff := cmp.Diff(tc.columns, columns); diff != "" {
			t.Errorf("%s: columns (-want +got):\n%s", path, diff)
		}
		row := table.Rows[0]
		if len(row.Cells) != len(columns) {
			t.Errorf("%s: %d cells in %d columns", path, len(row.Cells), len(columns))
		}
		if diff := cmp.Diff(tc.cells, row.Cells[:len(tc.cells)]); diff != "" {
			t.Errorf("%s: cells (-want +got):\n%s", path, diff)
		}
		if len(row.Object.Raw) == 0 {
			t.Errorf("%s: a row without its object's metadata", path)
		}
	}
}
