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

// Package table turns objects into the rows that kubectl get prints.
package table

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
)

// RowFunc returns the row of an object as seen at now: a cell for each column, those of kubectl's -o wide included.
// It may set the row's conditions; the convertor sets its object.
type RowFunc[T any] func(obj *T, now time.Time) metav1.TableRow

// convertor makes tables of objects of type *T and of their lists.
type convertor[T any] struct {
	columns []metav1.TableColumnDefinition
	row     RowFunc[T]
	now     func() time.Time
}

// New returns a convertor of objects of type *T, and of lists of them, to tables of these columns. Columns of a
// priority above 0 are for wide output: they are always sent, and the client leaves them out.
func New[T any](columns []metav1.TableColumnDefinition, row RowFunc[T]) rest.TableConvertor {
	return convertor[T]{columns: columns, row: row, now: time.Now}
}

// ConvertToTable returns the table of an object or a list. All rows of a table are seen at the same instant.
func (c convertor[T]) ConvertToTable(_ context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	noHeaders := false
	switch o := options.(type) {
	case nil:
	case *metav1.TableOptions:
		noHeaders = o != nil && o.NoHeaders
	default:
		return nil, fmt.Errorf("table options are of the unknown type %T", options)
	}

	t := &metav1.Table{}
	if !noHeaders {
		t.ColumnDefinitions = c.columns
	}
	now := c.now()
	addRow := func(item runtime.Object) error {
		typed, ok := item.(any).(*T)
		if !ok {
			return fmt.Errorf("a table of %T can't show a %T", new(T), item)
		}
		row := c.row(typed, now)
		row.Object = runtime.RawExtension{Object: item}
		t.Rows = append(t.Rows, row)
		return nil
	}
	if !meta.IsListType(obj) {
		if err := addRow(obj); err != nil {
			return nil, err
		}
	} else {
		t.Rows = make([]metav1.TableRow, 0, meta.LenList(obj))
		if err := meta.EachListItem(obj, addRow); err != nil {
			return nil, err
		}
	}
	setListMeta(t, obj)
	return t, nil
}

// setListMeta gives the table the resource version of obj and, of a list, how to get the rest.
func setListMeta(t *metav1.Table, obj runtime.Object) {
	if list, err := meta.ListAccessor(obj); err == nil {
		t.ResourceVersion = list.GetResourceVersion()
		t.Continue = list.GetContinue()
		t.RemainingItemCount = list.GetRemainingItemCount()
		return
	}
	if object, err := meta.CommonAccessor(obj); err == nil {
		t.ResourceVersion = object.GetResourceVersion()
	}
}
