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
	"errors"
	"fmt"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// sideBySide runs something in several goroutines and waits for all.
func sideBySide(n int, run func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { run(i) })
	}
	all.Wait()
}

// Patches.
func init() {
	patched := func(name, description string, kind types.PatchType, patch string, check func(t *suite.T, job *batchv1.Job)) suite.Test {
		return suite.Test{Name: name, Description: description, Source: "API conventions; guide 8", Run: func(t *suite.T) {
			job := t.Create(newJob(suspended, func(job *batchv1.Job) { job.Annotations = map[string]string{"a": "b", "c": "d"} }))
			changed, err := t.TryPatch(job, kind, patch)
			t.Must(err)
			check(t, changed)
			check(t, t.Get(job))
		}}
	}
	subject("Patch",
		patched("Merge", "A merge patch changes the fields that it has, and removes those that are null.", types.MergePatchType,
			`{"metadata":{"annotations":{"a":null,"e":"f"}},"spec":{"parallelism":4}}`, func(t *suite.T, job *batchv1.Job) {
				suite.Equal(t, "annotations", job.Annotations, map[string]string{"c": "d", "e": "f"})
				suite.Equal(t, "parallelism", *job.Spec.Parallelism, 4)
			}),
		patched("JSON", "A JSON patch is a list of operations.", types.JSONPatchType,
			`[{"op":"test","path":"/spec/parallelism","value":1},{"op":"replace","path":"/spec/parallelism","value":4},{"op":"remove","path":"/metadata/annotations/a"}]`,
			func(t *suite.T, job *batchv1.Job) {
				suite.Equal(t, "annotations", job.Annotations, map[string]string{"c": "d"})
				suite.Equal(t, "parallelism", *job.Spec.Parallelism, 4)
			}),
		patched("Strategic", "A strategic merge patch merges lists by their keys.", types.StrategicMergePatchType,
			`{"spec":{"template":{"spec":{"containers":[{"name":"main","resources":{"requests":{"cpu":"2"}}}]}}}}`, func(t *suite.T, job *batchv1.Job) {
				suite.Equal(t, "number of containers", len(job.Spec.Template.Spec.Containers), 1)
				suite.Equal(t, "image", job.Spec.Template.Spec.Containers[0].Image, "busybox:1.36")
				suite.Equal(t, "cpu", job.Spec.Template.Spec.Containers[0].Resources.Requests.Cpu().String(), "2")
			}),
		suite.Test{
			Name: "Invalid", Description: "What a patch makes is validated.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				_, err := t.TryPatch(job, types.MergePatchType, `{"spec":{"parallelism":-4,"completions":7}}`)
				t.Refused(err, "spec.parallelism: Invalid value: -4: must be greater than or equal to 0", "spec.completions: Invalid value: …field is immutable")
			},
		},
		suite.Test{
			Name: "TestFails", Description: "A JSON patch whose test fails changes nothing.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				_, err := t.TryPatch(job, types.JSONPatchType, `[{"op":"replace","path":"/spec/parallelism","value":4},{"op":"test","path":"/spec/parallelism","value":1}]`)
				if err == nil {
					t.Errorf("the patch is accepted")
				}
				suite.Equal(t, "parallelism", *t.Get(job).Spec.Parallelism, 1)
			},
		},
		suite.Test{
			Name: "Status", Description: "A patch of the status changes the status, and one of the Job doesn't.", Source: "reference 1.4",
			Run: func(t *suite.T) {
				job := t.Create(newJob(managedBy("example.com/controller")))
				changed, err := t.TryPatch(job, types.MergePatchType, `{"status":{"active":3},"spec":{"parallelism":5}}`, "status")
				t.Must(err)
				suite.Equal(t, "after a patch of the status", [2]int32{changed.Status.Active, *changed.Spec.Parallelism}, [2]int32{3, 1})
				changed, err = t.TryPatch(job, types.MergePatchType, `{"status":{"active":7},"spec":{"parallelism":5}}`)
				t.Must(err)
				suite.Equal(t, "after a patch of the Job", [2]int32{changed.Status.Active, *changed.Spec.Parallelism}, [2]int32{3, 5})
			},
		},
		suite.Test{
			Name: "Conditions", Description: "Strategic merge patches of two conditions keep both.", Source: "reference 1.3",
			Run: func(t *suite.T) {
				job := t.Create(newJob(managedBy("example.com/controller")))
				for _, kind := range []string{"One", "Two"} {
					_, err := t.TryPatch(job, types.StrategicMergePatchType, fmt.Sprintf(`{"status":{"conditions":[{"type":%q,"status":"True"}]}}`, kind), "status")
					t.Must(err)
				}
				suite.Equal(t, "number of conditions", len(t.Get(job).Status.Conditions), 2)
			},
		},
	)
}

// Clients that write the same Job.
func init() {
	subject("Concurrency",
		suite.Test{
			Name: "OneNameOneJob", Description: "Of many clients that create a Job of one name, exactly one succeeds.", Source: "API conventions",
			Run: func(t *suite.T) {
				errs := make([]error, 8)
				sideBySide(len(errs), func(i int) { _, errs[i] = t.TryCreate(newJob(suspended)) })
				created := 0
				for _, err := range errs {
					if err == nil {
						created++
					} else if !apierrors.IsAlreadyExists(err) {
						t.Errorf("error %v", err)
					}
				}
				suite.Equal(t, "created", created, 1)
			},
		},
		suite.Test{
			Name: "NoLostUpdate", Description: "Of the updates of clients that fight over one Job none is lost.", Source: "API conventions",
			Run: fightOverUpdates,
		},
		suite.Test{
			Name: "OneOfTwo", Description: "Of two updates of the same version of a Job one succeeds, and the other is a conflict.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.WaitCondition(t.Create(newJob(suspended)), batchv1.JobSuspended, corev1.ConditionTrue)
				base := t.GetFields(job)
				errs := make([]error, 2)
				sideBySide(2, func(i int) {
					object := base.DeepCopy()
					object.SetAnnotations(map[string]string{"client": fmt.Sprint(i)})
					_, errs[i] = t.API().Update(t.Context(), object, metav1.UpdateOptions{})
				})
				if (errs[0] == nil) == (errs[1] == nil) || !apierrors.IsConflict(errs[0]) && !apierrors.IsConflict(errs[1]) {
					t.Errorf("the errors are %v and %v", errs[0], errs[1])
				}
			},
		},
	)
}

// Clients that want different things of the controller.
func init() {
	subject("Concurrency",
		suite.Test{
			Name: "SuspendFight", Description: "A Job that two clients suspend and resume in turns runs its index once, and ends.", Source: "KEP-2232; KEP-2307",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(4)))
				errs := make([]error, 2)
				sideBySide(2, func(i int) {
					for n := range 6 {
						if _, err := t.TryPatch(job, types.MergePatchType, fmt.Sprintf(`{"spec":{"suspend":%t}}`, (n+i)%2 == 0)); err != nil {
							errs[i] = err
						}
					}
				})
				t.Must(errs[0])
				t.Must(errs[1])
				t.PatchSpec(job, suite.Fields{"suspend": false, "parallelism": 3})
				// Only a controller that has seen the end of the fight leaves it at three; before, it may still delete all.
				t.Succeed(t.WaitActive(job, 3)...)
				t.Succeed(t.WaitActive(job, 1)...)
				job = t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "counters", [2]int32{job.Status.Succeeded, job.Status.Failed}, [2]int32{4, 0})
			},
		},
		suite.Test{
			Name: "ScaleFight", Description: "A Job that several clients scale has as many Pods as the last of them says.", Source: "reference B46 and B47",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(20), parallelism(1)))
				errs := make([]error, 3)
				sideBySide(3, func(i int) {
					for n := range 4 {
						if _, err := t.TryPatch(job, types.MergePatchType, fmt.Sprintf(`{"spec":{"parallelism":%d}}`, 1+(n+i)%5)); err != nil {
							errs[i] = err
						}
					}
				})
				for _, err := range errs {
					t.Must(err)
				}
				t.PatchSpec(job, suite.Fields{"parallelism": 2})
				t.WaitActive(job, 2)
				suite.Equal(t, "failed", t.WaitStatus(job, 2, 0, 0).Status.Failed, 0)
			},
		},
	)
}

// fightOverUpdates lets several clients add annotations to one Job, and looks for all of them.
func fightOverUpdates(t *suite.T) {
	const clients, each = 4, 5
	job := t.Create(newJob(suspended))
	errs := make([]error, clients)
	sideBySide(clients, func(i int) {
		for n := range each {
			change := func(job *batchv1.Job) {
				if job.Annotations == nil {
					job.Annotations = map[string]string{}
				}
				job.Annotations[fmt.Sprintf("client-%d-%d", i, n)] = "yes"
			}
			// Who comes too late begins again, as often as it takes.
			for errs[i] = errors.New("not yet"); errs[i] != nil; {
				if _, errs[i] = t.TryUpdate(job, change); errs[i] != nil && !apierrors.IsConflict(errs[i]) {
					return
				}
			}
		}
	})
	for _, err := range errs {
		t.Must(err)
	}
	suite.Equal(t, "number of annotations", len(t.Get(job).Annotations), clients*each)
}
