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

package job

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// entry returns an entry of managedFields; seconds is its time.
func entry(manager, version string, seconds int64, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: version,
		Time: new(metav1.NewTime(time.Unix(seconds, 0))), FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields),
	}
}

func TestUnderOurVersion(t *testing.T) {
	t.Parallel()
	const (
		ours, theirs = "batch.jobserver.dev/v1", "batch/v1"
		a, b, both   = `{"f:a":{}}`, `{"f:b":{}}`, `{"f:a":{},"f:b":{}}`
		damaged      = `{"f:a":`
	)
	as := func(entry metav1.ManagedFieldsEntry, edit func(*metav1.ManagedFieldsEntry)) metav1.ManagedFieldsEntry {
		edit(&entry)
		return entry
	}
	applied := func(entry *metav1.ManagedFieldsEntry) { entry.Operation = metav1.ManagedFieldsOperationApply }
	ofStatus := func(entry *metav1.ManagedFieldsEntry) { entry.Subresource = "status" }
	noTime := func(entry *metav1.ManagedFieldsEntry) { entry.Time = nil }
	noFields := func(entry *metav1.ManagedFieldsEntry) { entry.FieldsV1 = nil }
	type entries = []metav1.ManagedFieldsEntry
	tests := map[string]struct {
		entries, want entries
	}{
		"none":    {},
		"ours":    {entries: entries{entry("m", ours, 1, a)}, want: entries{entry("m", ours, 1, a)}},
		"renamed": {entries: entries{entry("m", theirs, 1, a)}, want: entries{entry("m", ours, 1, a)}},
		"another group's stays": {
			entries: entries{entry("m", "other/v1", 1, a), entry("n", theirs, 1, b)},
			want:    entries{entry("m", "other/v1", 1, a), entry("n", ours, 1, b)},
		},
		"joined at the later time": {
			entries: entries{entry("m", ours, 1, a), entry("m", theirs, 2, b)},
			want:    entries{entry("m", ours, 2, both)},
		},
		"joined, whichever comes first": {
			entries: entries{entry("m", theirs, 2, a), entry("n", ours, 1, a), entry("m", ours, 1, b)},
			want:    entries{entry("m", ours, 2, both), entry("n", ours, 1, a)},
		},
		"joined with one without a time": {
			entries: entries{as(entry("m", ours, 0, a), noTime), entry("m", theirs, 2, b)},
			want:    entries{entry("m", ours, 2, both)},
		},
		"joined with one that owns nothing": {
			entries: entries{as(entry("m", ours, 1, ""), noFields), entry("m", theirs, 1, b)},
			want:    entries{entry("m", ours, 1, b)},
		},
		"managers, operations and subresources stay apart": {
			entries: entries{
				entry("m", ours, 1, a), entry("n", theirs, 1, b),
				as(entry("m", theirs, 1, b), applied), as(entry("m", theirs, 1, b), ofStatus),
			},
			want: entries{
				entry("m", ours, 1, a), entry("n", ours, 1, b),
				as(entry("m", ours, 1, b), applied), as(entry("m", ours, 1, b), ofStatus),
			},
		},
		"a damaged entry is left for the field manager to judge": {
			entries: entries{entry("m", ours, 1, a), entry("m", theirs, 2, damaged)},
			want:    entries{entry("m", ours, 1, a), entry("m", ours, 2, damaged)},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, underOurVersion(test.entries)); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}
