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
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// remove is a deletion of the Job with options in the body and in the query.
func remove(body, query string) suite.Request {
	return suite.Request{Method: "DELETE", Path: "job" + query, Body: []byte(body)}
}

// The options of deletions.
func init() {
	// lets is a test in which a deletion with options of a bound Pod's Job is asked for, and what comes of the two is waited for.
	lets := func(name, description, body, query string, kept bool) suite.Test {
		return suite.Test{Name: name, Description: description, Source: "API conventions; reference 1.15", Features: collector, Run: func(t *suite.T) {
			job := t.Create(newJob())
			pod := t.WaitActive(job, 1)[0]
			suite.Equal(t, "code", t.Do(remove(body, query)).Code, 200)
			t.WaitGone(job)
			if kept {
				t.WaitPod(pod, "is an orphan", orphaned)
				return
			}
			t.WaitPodGone(pod)
		}}
	}
	subject("Deletion",
		lets("InQuery", "The propagation policy may stand in the query.", "", "?propagationPolicy=Background", false),
		lets("InBody", "The propagation policy may stand in the body.", `{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Foreground"}`, "", false),
		lets("OrphanDependents", "The older option orphanDependents leaves the Pods alone.", `{"kind":"DeleteOptions","apiVersion":"v1","orphanDependents":true}`, "", true),
		lets("NoOrphanDependents", "The older option orphanDependents, false, deletes the Pods.", `{"kind":"DeleteOptions","apiVersion":"v1","orphanDependents":false}`, "", false),
		suite.Test{
			Name: "Options", Description: "Options of a deletion that contradict each other or that there are not are refused.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(elsewhere))
				for what, body := range map[string]string{
					"both":    `{"kind":"DeleteOptions","apiVersion":"v1","orphanDependents":true,"propagationPolicy":"Orphan"}`,
					"unknown": `{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Sideways"}`,
					"dryRun":  `{"kind":"DeleteOptions","apiVersion":"v1","dryRun":["Some"]}`,
				} {
					if response := t.Do(remove(body, "")); response.Code != 422 {
						t.Errorf("%s: the answer is %d %s", what, response.Code, response.Body)
					}
				}
				suite.Equal(t, "deletionTimestamp", t.Get(job).DeletionTimestamp, nil)
			},
		},
		suite.Test{
			Name: "ResourceVersion", Description: "A deletion that means an earlier version of the Job is a conflict.", Source: "API conventions",
			Run: func(t *suite.T) {
				early := t.Create(newJob(elsewhere))
				current := t.PatchSpec(early, suite.Fields{"parallelism": 2})
				options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &early.ResourceVersion}, PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}
				t.RefusedFor(t.API().Delete(t.Context(), "job", options), metav1.StatusReasonConflict, "the ResourceVersion in the precondition ("+early.ResourceVersion+") does not match")
				options.Preconditions = &metav1.Preconditions{ResourceVersion: &current.ResourceVersion, UID: &current.UID}
				t.Must(t.API().Delete(t.Context(), "job", options))
				t.WaitGone(current)
			},
		},
		suite.Test{
			Name: "Answer", Description: "The answer to a deletion is a Status that names the Job; while the Job waits for its end, it is the Job.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(elsewhere))
				var status metav1.Status
				t.JSON(t.Do(remove("", "?propagationPolicy=Background")), &status)
				if status.Kind != "Status" || status.Status != "Success" || status.Details == nil || status.Details.Name != "job" || status.Details.UID != job.UID {
					t.Errorf("the answer is %v", status)
				}
				t.Create(newJob(elsewhere, func(job *batchv1.Job) { job.Finalizers = []string{"example.com/hold"} }))
				var waiting batchv1.Job
				t.JSON(t.Do(remove("", "?propagationPolicy=Background")), &waiting)
				suite.Equal(t, "kind, and whether it is being deleted", [2]any{waiting.Kind, waiting.DeletionTimestamp != nil}, [2]any{"Job", true})
				t.Update(newJob(), func(job *batchv1.Job) { job.Finalizers = nil })
			},
		},
	)
}

// What depends on a Job, and collections.
func init() {
	subject("Deletion",
		suite.Test{
			Name: "Dependents", Description: "Whatever a Job owns is deleted with it, whichever group and version the reference names it by.", Source: "reference B82", Features: collector,
			Run: func(t *suite.T) {
				job := t.Create(newJob(elsewhere))
				owner := metav1.OwnerReference{APIVersion: t.Target().Jobs.GroupVersion().String(), Kind: "Job", Name: job.Name, UID: job.UID}
				maps := t.Kube.CoreV1().ConfigMaps(t.Namespace())
				for name, owners := range map[string][]metav1.OwnerReference{"owned": {owner}, "free": nil} {
					_, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owners}}, createOptions)
					t.Must(err)
				}
				t.Delete(job, metav1.DeletePropagationBackground)
				t.Eventually("what the Job owned is gone", func() error {
					_, err := maps.Get(t.Context(), "owned", metav1.GetOptions{})
					if apierrors.IsNotFound(err) {
						return nil
					}
					return fmt.Errorf("it is there; error %v", err)
				})
				_, err := maps.Get(t.Context(), "free", metav1.GetOptions{})
				t.Must(err)
			},
		},
		suite.Test{
			Name: "CollectionByField", Description: "A deletion of a collection may select Jobs by field, and answers with those that it deleted.", Source: "API conventions",
			Run: func(t *suite.T) {
				goes, stays := t.Create(newJob(named("goes"), elsewhere)), t.Create(newJob(named("stays"), elsewhere))
				var list batchv1.JobList
				t.JSON(t.Do(suite.Request{Method: "DELETE", Path: "?propagationPolicy=Background&fieldSelector=metadata.name%3Dgoes"}), &list)
				if list.Kind != "JobList" || len(list.Items) != 1 || list.Items[0].Name != "goes" {
					t.Errorf("the answer is %v", list)
				}
				t.WaitGone(goes)
				suite.Equal(t, "deletionTimestamp", t.Get(stays).DeletionTimestamp, nil)
			},
		},
		suite.Test{
			Name: "CollectionForeground", Description: "A deletion of a collection in the foreground removes the Pods of each Job, then the Job.", Source: "API conventions; reference B80", Features: collector,
			Run: func(t *suite.T) {
				one, two := t.Create(newJob(named("one"))), t.Create(newJob(named("two")))
				pods := append(t.WaitActive(one, 1), t.WaitActive(two, 1)...)
				t.Bind(pods...)
				t.Must(t.API().DeleteCollection(t.Context(), metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationForeground)}, metav1.ListOptions{}))
				for i, job := range []*batchv1.Job{one, two} {
					t.WaitPod(pods[i], "is being deleted", isGoing)
					suite.Equal(t, "finalizers of the Job", t.Get(job).Finalizers, []string{"foregroundDeletion"})
					t.EndDeleted(pods[i], 143)
					t.WaitGone(job)
				}
			},
		},
	)
}

// isGoing tells whether a Pod is being deleted, and is not gone.
func isGoing(pod *corev1.Pod) bool { return pod != nil && pod.DeletionTimestamp != nil }
