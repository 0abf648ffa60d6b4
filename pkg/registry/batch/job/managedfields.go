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
	"bytes"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/kubev1"
	ourv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// recordOwnership records the field ownership of every write, through either group, under our group's version.
//
// Server-side apply converts the object to the version of each manager in turn. One entry under batch/v1, which has no fields for
// our policies, would make every later apply through our group drop them. Our version has all fields of batch/v1 under the same
// names, so that an entry means the same under it.
//
// A strategy calls it before the store looks for writes that change nothing but times of ownership, and stores those not.
func recordOwnership(job *batch.Job) {
	job.ManagedFields = underOurVersion(job.ManagedFields)
}

// underOurVersion renames the batch/v1 entries and joins those that then have the same manager, operation and subresource.
func underOurVersion(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	ours, theirs := ourv1.SchemeGroupVersion.String(), kubev1.SchemeGroupVersion.String()
	if !slices.ContainsFunc(entries, func(entry metav1.ManagedFieldsEntry) bool { return entry.APIVersion == theirs }) {
		return entries
	}
	joined := make([]metav1.ManagedFieldsEntry, 0, len(entries))
	for _, entry := range entries {
		if entry.APIVersion == theirs {
			entry.APIVersion = ours
		}
		same := slices.IndexFunc(joined, func(other metav1.ManagedFieldsEntry) bool { return sameOwner(entry, other) })
		if same < 0 {
			joined = append(joined, entry)
			continue
		}
		if union, ok := joinEntries(joined[same], entry); ok {
			joined[same] = union
		} else {
			joined = append(joined, entry)
		}
	}
	return joined
}

func sameOwner(a, b metav1.ManagedFieldsEntry) bool {
	return a.Manager == b.Manager && a.Operation == b.Operation && a.Subresource == b.Subresource && a.APIVersion == b.APIVersion
}

// joinEntries returns the entry that owns what either owns, as of the later of their times. It reports false where one of them can't
// be read; the field manager itself wrote them, so that both are then kept for it to judge.
func joinEntries(a, b metav1.ManagedFieldsEntry) (metav1.ManagedFieldsEntry, bool) {
	setA, okA := readFields(a.FieldsV1)
	setB, okB := readFields(b.FieldsV1)
	if !okA || !okB {
		return a, false
	}
	raw, err := setA.Union(setB).ToJSON()
	if err != nil {
		return a, false
	}
	a.FieldsV1 = metav1.NewFieldsV1(string(raw))
	if a.Time == nil || (b.Time != nil && a.Time.Before(b.Time)) {
		a.Time = b.Time
	}
	return a, true
}

func readFields(fields *metav1.FieldsV1) (*fieldpath.Set, bool) {
	set := &fieldpath.Set{}
	if fields == nil {
		return set, true
	}
	err := set.FromJSON(bytes.NewReader(fields.GetRawBytes()))
	return set, err == nil
}
