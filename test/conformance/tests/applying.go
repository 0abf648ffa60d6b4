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
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// applied is a Job as a manager applies it: suspended, with further fields of its spec.
func applied(spec suite.Fields) suite.Fields {
	fields := suite.Fields{
		"suspend": true,
		"template": suite.Fields{"spec": suite.Fields{
			"restartPolicy": "Never",
			"containers":    []any{suite.Fields{"name": "main", "image": "busybox:1.36"}},
		}},
	}
	for name, value := range spec {
		fields[name] = value
	}
	return suite.Fields{"spec": fields}
}

// onlySpec is what a manager applies who owns some fields of the spec and nothing else.
func onlySpec(spec suite.Fields) suite.Fields { return suite.Fields{"spec": spec} }

// apply applies a Job without force, which must be possible.
func apply(t *suite.T, manager string, fields suite.Fields) *unstructured.Unstructured {
	object, err := t.Apply("job", manager, false, fields)
	t.Must(err)
	return object
}

// number is a field of the spec, -1 where it is not there.
func number(object *unstructured.Unstructured, field string) int64 {
	value, found, _ := unstructured.NestedInt64(object.Object, "spec", field)
	if !found {
		return -1
	}
	return value
}

// fieldsOf are the fields that a manager owns, as text.
func fieldsOf(object *unstructured.Unstructured, manager string) string {
	for _, entry := range object.GetManagedFields() {
		if entry.Manager == manager && entry.FieldsV1 != nil {
			return entry.FieldsV1.GetRawString()
		}
	}
	return ""
}

// A Job of one manager.
func init() {
	subject("Apply",
		suite.Test{
			Name: "Creates", Description: "Applying a Job that is not there creates it.", Source: "API conventions; KEP-555",
			Run: func(t *suite.T) {
				job := apply(t, "one", applied(suite.Fields{"parallelism": 2}))
				suite.Equal(t, "parallelism", number(job, "parallelism"), 2)
				suite.Equal(t, "backoffLimit is there", number(job, "backoffLimit") >= 0, true)
				if fields := fieldsOf(job, "one"); !strings.Contains(fields, "f:parallelism") || strings.Contains(fields, "f:backoffLimit") {
					t.Errorf("the manager owns %s", fields)
				}
			},
		},
		suite.Test{
			Name: "Again", Description: "Applying the same again changes nothing.", Source: "API conventions; KEP-555",
			Run: func(t *suite.T) {
				first := apply(t, "one", applied(suite.Fields{"ttlSecondsAfterFinished": 60}))
				t.WaitCondition(&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "job"}}, batchv1.JobSuspended, "True")
				second := apply(t, "one", applied(suite.Fields{"ttlSecondsAfterFinished": 60}))
				third := apply(t, "one", applied(suite.Fields{"ttlSecondsAfterFinished": 60}))
				suite.Equal(t, "generation", second.GetGeneration(), first.GetGeneration())
				suite.Equal(t, "resourceVersion", third.GetResourceVersion(), second.GetResourceVersion())
			},
		},
		suite.Test{
			Name: "Removes", Description: "A field that a manager no longer applies is removed, and has its default again where it has one.", Source: "KEP-555; reference 1.2",
			Run: func(t *suite.T) {
				job := apply(t, "one", applied(suite.Fields{"ttlSecondsAfterFinished": 60, "parallelism": 3, "completions": 5}))
				suite.Equal(t, "ttl", number(job, "ttlSecondsAfterFinished"), 60)
				job = apply(t, "one", applied(suite.Fields{"completions": 5}))
				suite.Equal(t, "ttl after", number(job, "ttlSecondsAfterFinished"), -1)
				suite.Equal(t, "parallelism after", number(job, "parallelism"), 1)
			},
		},
	)
}

// Several managers of one Job.
func init() {
	subject("Apply",
		suite.Test{
			Name: "TwoManagers", Description: "Two managers may own different fields.", Source: "KEP-555",
			Run: func(t *suite.T) {
				apply(t, "one", applied(nil))
				job := apply(t, "two", onlySpec(suite.Fields{"parallelism": 4}))
				suite.Equal(t, "parallelism", number(job, "parallelism"), 4)
				job = apply(t, "one", applied(suite.Fields{"ttlSecondsAfterFinished": 60}))
				suite.Equal(t, "parallelism of the other", number(job, "parallelism"), 4)
			},
		},
		suite.Test{
			Name: "Containers", Description: "Managers may own different containers' fields of a suspended Job's Pod template.", Source: "KEP-555; reference 1.8",
			Run: func(t *suite.T) {
				apply(t, "one", applied(nil))
				job := apply(t, "two", onlySpec(suite.Fields{"template": suite.Fields{"spec": suite.Fields{"containers": []any{
					suite.Fields{"name": "main", "resources": suite.Fields{"requests": suite.Fields{"cpu": "2"}}},
				}}}}))
				containers, _, _ := unstructured.NestedSlice(job.Object, "spec", "template", "spec", "containers")
				suite.Equal(t, "number of containers", len(containers), 1)
				suite.Equal(t, "image", containers[0].(suite.Fields)["image"], any("busybox:1.36"))
			},
		},
		suite.Test{
			Name: "Conflict", Description: "A manager can't change what another owns, unless by force.", Source: "KEP-555",
			Run: func(t *suite.T) {
				apply(t, "one", applied(suite.Fields{"parallelism": 2}))
				_, err := t.Apply("job", "two", false, onlySpec(suite.Fields{"parallelism": 4}))
				t.RefusedFor(err, metav1.StatusReasonConflict, `Apply failed with 1 conflict: conflict with "one": .spec.parallelism`)
				job, err := t.Apply("job", "two", true, onlySpec(suite.Fields{"parallelism": 4}))
				t.Must(err)
				suite.Equal(t, "parallelism", number(job, "parallelism"), 4)
				if fields := fieldsOf(job, "one"); strings.Contains(fields, "f:parallelism") {
					t.Errorf("the first manager still owns %s", fields)
				}
			},
		},
		suite.Test{
			Name: "ConflictWithUpdate", Description: "What somebody updated is theirs, and applying another value is a conflict.", Source: "KEP-555",
			Run: func(t *suite.T) {
				apply(t, "one", applied(suite.Fields{"parallelism": 2}))
				t.PatchSpec(newJob(), suite.Fields{"parallelism": 3})
				_, err := t.Apply("job", "one", false, applied(suite.Fields{"parallelism": 4}))
				t.RefusedFor(err, metav1.StatusReasonConflict, ".spec.parallelism")
			},
		},
	)
}

// What may not be applied, and what is applied apart.
func init() {
	subject("Apply",
		suite.Test{
			Name: "Status", Description: "Applying the status owns fields of the status only, and applying the Job none of them.", Source: "KEP-555; reference 1.14",
			Run: func(t *suite.T) {
				fields := applied(suite.Fields{"managedBy": "example.com/controller", "suspend": false})
				fields["status"] = suite.Fields{"active": 9}
				job := apply(t, "one", fields)
				_, found, _ := unstructured.NestedFieldNoCopy(job.Object, "status", "active")
				suite.Equal(t, "active is there", found, false)
				job, err := t.Apply("job", "two", false, suite.Fields{"status": suite.Fields{"active": 3}, "spec": suite.Fields{"parallelism": 7}}, "status")
				t.Must(err)
				active, _, _ := unstructured.NestedInt64(job.Object, "status", "active")
				suite.Equal(t, "active and parallelism", [2]int64{active, number(job, "parallelism")}, [2]int64{3, 1})
				if owned := fieldsOf(job, "two"); strings.Contains(owned, "f:parallelism") || !strings.Contains(owned, "f:active") {
					t.Errorf("the second manager owns %s", owned)
				}
			},
		},
		suite.Test{
			Name: "UnknownField", Description: "Applying a field that there is not is refused.", Source: "API conventions; KEP-555",
			Run: func(t *suite.T) {
				_, err := t.Apply("job", "one", false, applied(suite.Fields{"paralelism": 2}))
				if err == nil || !strings.Contains(err.Error(), "paralelism: field not declared in schema") {
					t.Errorf("error %v", err)
				}
			},
		},
		suite.Test{
			Name: "NoManager", Description: "Applying without a manager is refused.", Source: "API conventions; KEP-555",
			Run: func(t *suite.T) {
				_, err := t.Apply("job", "", false, applied(nil))
				t.RefusedFor(err, metav1.StatusReasonInvalid, "fieldManager: Required value: is required for apply patch")
			},
		},
	)
}
