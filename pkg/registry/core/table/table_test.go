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

package table

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kubernetes/pkg/apis/core"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func testConvertor() convertor[core.ConfigMap] {
	c := New([]metav1.TableColumnDefinition{NameColumn(), AgeColumn()}, func(cm *core.ConfigMap, now time.Time) metav1.TableRow {
		return metav1.TableRow{Cells: []any{cm.Name, Age(cm.CreationTimestamp.Time, now)}}
	}).(convertor[core.ConfigMap])
	c.now = func() time.Time { return now }
	return c
}

func configMap(name string) core.ConfigMap {
	return core.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: name, ResourceVersion: "7", CreationTimestamp: metav1.NewTime(now.Add(-5 * time.Minute)),
	}}
}

func TestTableOfAnObject(t *testing.T) {
	t.Parallel()
	cm := configMap("a")
	got, err := testConvertor().ConvertToTable(t.Context(), &cm, &metav1.TableOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := &metav1.Table{
		ListMeta:          metav1.ListMeta{ResourceVersion: "7"},
		ColumnDefinitions: []metav1.TableColumnDefinition{NameColumn(), AgeColumn()},
		Rows:              []metav1.TableRow{{Cells: []any{"a", "5m"}, Object: runtime.RawExtension{Object: &cm}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestTableOfAList(t *testing.T) {
	t.Parallel()
	list := &core.ConfigMapList{
		ListMeta: metav1.ListMeta{ResourceVersion: "9", Continue: "more", RemainingItemCount: new(int64(3))},
		Items:    []core.ConfigMap{configMap("a"), configMap("b")},
	}
	got, err := testConvertor().ConvertToTable(t.Context(), list, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(list.ListMeta, got.ListMeta); diff != "" {
		t.Errorf("list meta (-want +got):\n%s", diff)
	}
	var names []any
	for _, r := range got.Rows {
		names = append(names, r.Cells[0], r.Object.Object.(*core.ConfigMap).Name)
	}
	if diff := cmp.Diff([]any{"a", "a", "b", "b"}, names); diff != "" {
		t.Errorf("names in cells and objects (-want +got):\n%s", diff)
	}
}

func TestTableOfAnEmptyListHasRows(t *testing.T) {
	t.Parallel()
	got, err := testConvertor().ConvertToTable(t.Context(), &core.ConfigMapList{}, (*metav1.TableOptions)(nil))
	if err != nil || got.Rows == nil || len(got.Rows) != 0 || len(got.ColumnDefinitions) != 2 {
		t.Errorf("table %+v, %v; want columns and an empty, non-null list of rows", got, err)
	}
}

func TestTableWithoutHeaders(t *testing.T) {
	t.Parallel()
	cm := configMap("a")
	got, err := testConvertor().ConvertToTable(t.Context(), &cm, &metav1.TableOptions{NoHeaders: true})
	if err != nil || got.ColumnDefinitions != nil || len(got.Rows) != 1 {
		t.Errorf("table %+v, %v", got, err)
	}
}

func TestTableRefuses(t *testing.T) {
	t.Parallel()
	cm := configMap("a")
	for name, tc := range map[string]struct{ obj, options runtime.Object }{
		"options of another type": {&cm, &metav1.ListOptions{}},
		"an object of another":    {&core.Secret{}, nil},
		"a list of another":       {&core.SecretList{Items: []core.Secret{{}}}, nil},
	} {
		if got, err := testConvertor().ConvertToTable(t.Context(), tc.obj, tc.options); err == nil {
			t.Errorf("%s: table %+v, want an error", name, got)
		}
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	for want, at := range map[string]time.Time{
		"<unknown>": {},
		"0s":        now,
		"119s":      now.Add(-119 * time.Second),
		"2m":        now.Add(-2 * time.Minute),
		"3d4h":      now.Add(-76 * time.Hour),
		"<invalid>": now.Add(time.Hour),
	} {
		if got := Age(at, now); got != want {
			t.Errorf("age of %s is %s, want %s", at, got, want)
		}
	}
}
