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

package plan

import (
	"reflect"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// ledger is an account of the same Pods kept independently of the controller, to check its own against.
type ledger struct {
	// succeeded and failed are the Pods that were ever listed as such in the status.
	succeeded, failed sets.Set[types.UID]

	// endedWell and endedBadly are the Pods that ended by themselves: neither deleted nor disrupted.
	endedWell, endedBadly sets.Set[types.UID]

	// disrupted are the Pods that were evicted or lost while they were active.
	disrupted sets.Set[types.UID]

	// stopped are the Pods that the controller wanted to delete; how they end is no matter any more.
	stopped sets.Set[types.UID]

	// stripped are the Pods whose finalizers a user took off.
	stripped sets.Set[types.UID]

	// rescaled says that completions changed, after which indexes may be dropped and run again.
	rescaled bool

	// ended are the Pods that left the API or not, by UID, for the index that they had.
	index map[types.UID]int
}

func newLedger() *ledger {
	return &ledger{
		succeeded: sets.New[types.UID](), failed: sets.New[types.UID](),
		endedWell: sets.New[types.UID](), endedBadly: sets.New[types.UID](),
		disrupted: sets.New[types.UID](), stopped: sets.New[types.UID](), stripped: sets.New[types.UID](), index: map[types.UID]int{},
	}
}

func (w *world) statusEqual(status batchv1.JobStatus) bool {
	return equality.Semantic.DeepEqual(status, w.job.Status)
}

// writeStatus is the API's update of the status; it refuses what the real one refuses.
func (w *world) writeStatus(status batchv1.JobStatus) {
	old := w.job.Status
	if terminalCondition(&old) != nil {
		w.t.Fatalf("status of a finished Job changed:\n%s", cmp.Diff(old, status))
	}
	w.checkStatus(old, status)
	w.checkCounted(old, status)
	w.job.Status = *status.DeepCopy()
}

// checkStatus has the rules of the reference's section 1.10 that the controller could break.
func (w *world) checkStatus(old, status batchv1.JobStatus) {
	must := func(ok bool, rule string) {
		if !ok {
			w.t.Fatalf("%s\nold: %+v\nnew: %+v", rule, old, status)
		}
	}
	is := func(conditionType batchv1.JobConditionType) bool {
		return trueCondition(status.Conditions, conditionType) != nil
	}
	finished := is(batchv1.JobComplete) || is(batchv1.JobFailed)
	terminating, ready := ptr.Deref(status.Terminating, 0), ptr.Deref(status.Ready, 0)
	must(min(status.Active, status.Succeeded, status.Failed, terminating, ready) >= 0, "S1: a negative number")
	must(ready <= status.Active, "S19: more ready than active")
	must(!is(batchv1.JobComplete) || !is(batchv1.JobFailed), "S3: complete and failed")
	must(!is(batchv1.JobComplete) || is(batchv1.JobSuccessCriteriaMet), "S9: complete without criteria met")
	must(!is(batchv1.JobFailed) || is(batchv1.JobFailureTarget), "S8: failed without failure target")
	must(!is(batchv1.JobSuccessCriteriaMet) || !is(batchv1.JobFailureTarget), "S21: both targets")
	must(is(batchv1.JobComplete) == (status.CompletionTime != nil), "S5, S6: completion time")
	must(!finished || status.Active == 0 && terminating == 0, "S10, S18: finished with Pods")
	must(!finished || len(status.UncountedTerminatedPods.Succeeded)+len(status.UncountedTerminatedPods.Failed) == 0, "S12: finished with uncounted Pods")
	must(!finished || status.StartTime != nil || isSuspended(w.job) && ptr.Deref(w.job.Spec.Completions, 1) == 0, "S11: finished but not started")
	must(status.CompletionTime == nil || !status.CompletionTime.Before(status.StartTime), "S7: completed before it started")
	must(status.Failed >= old.Failed, "S24: failed decreased")
	must(status.Succeeded >= old.Succeeded || isIndexed(w.job) && ptr.Deref(w.job.Spec.Completions, 0) == ptr.Deref(w.job.Spec.Parallelism, 0), "S25: succeeded decreased")
	for _, condition := range old.Conditions {
		must(condition.Type == batchv1.JobSuspended || condition.Status != corev1.ConditionTrue || is(condition.Type), "S23, S28: a target was taken back")
	}
	resuming := trueCondition(old.Conditions, batchv1.JobSuspended) != nil && !is(batchv1.JobSuspended)
	must(old.StartTime == nil || isSuspended(w.job) || resuming || old.StartTime.Equal(status.StartTime), "S27: the start time changed")
	completed := parseIndexes(status.CompletedIndexes, 1000)
	must(completed.overlap(parseIndexes(ptr.Deref(status.FailedIndexes, ""), 1000)) == 0, "S17: an index succeeded and failed")
	dropped := parseIndexes(old.CompletedIndexes, int(ptr.Deref(w.job.Spec.Completions, 0)))
	must(completed.overlap(dropped) == dropped.size(), "a succeeded index was dropped")
}

// checkCounted checks that each Pod is listed once, leaves the list when its finalizer is off, and is in the counter then.
func (w *world) checkCounted(old, status batchv1.JobStatus) {
	listed := func(s batchv1.JobStatus) (succeeded, failed, all sets.Set[types.UID]) {
		uncounted := ptr.Deref(s.UncountedTerminatedPods, batchv1.UncountedTerminatedPods{})
		succeeded, failed = sets.New(uncounted.Succeeded...), sets.New(uncounted.Failed...)
		if len(succeeded)+len(failed) != len(uncounted.Succeeded)+len(uncounted.Failed) || len(succeeded.Intersection(failed)) > 0 {
			w.t.Fatalf("a Pod is listed twice: %+v", uncounted)
		}
		return succeeded, failed, succeeded.Union(failed)
	}
	_, _, before := listed(old)
	succeeded, failed, after := listed(status)
	for uid := range after.Difference(before) {
		if w.ledger.succeeded.Has(uid) || w.ledger.failed.Has(uid) {
			w.t.Fatalf("%s is counted again", uid)
		}
		if pod := w.pods[uid]; (pod == nil || len(pod.Finalizers) == 0) && !w.ledger.stripped.Has(uid) {
			w.t.Fatalf("%s is counted without a finalizer", uid)
		}
		if failed.Has(uid) && w.ledger.disrupted.Has(uid) && ignoresDisruptions(w.job) && w.job.Spec.PodFailurePolicy == nil && interimCondition(&status) == nil {
			w.t.Fatalf("%s counts as failed although it was disrupted", uid)
		}
	}
	for uid := range before.Difference(after) {
		if pod := w.pods[uid]; pod != nil && len(pod.Finalizers) > 0 {
			w.t.Fatalf("%s left the uncounted list with its finalizer on", uid)
		}
	}
	w.ledger.succeeded = w.ledger.succeeded.Union(succeeded)
	w.ledger.failed = w.ledger.failed.Union(failed)
	if got, want := int(status.Failed)+len(failed), len(w.ledger.failed); got != want {
		w.t.Fatalf("failed is %d with the uncounted, want %d", got, want)
	}
	if isIndexed(w.job) {
		completed := parseIndexes(status.CompletedIndexes, int(*w.job.Spec.Completions)).size()
		if int(status.Succeeded) != completed {
			w.t.Fatalf("succeeded is %d, but %d indexes completed", status.Succeeded, completed)
		}
		return
	}
	if got, want := int(status.Succeeded)+len(succeeded), len(w.ledger.succeeded); got != want {
		w.t.Fatalf("succeeded is %d with the uncounted, want %d", got, want)
	}
}

// checkPlan checks what holds for every plan: that it follows from the Input alone, from no more of a Pod than TrimPod
// keeps, and leaves the Input as it is.
func (w *world) checkPlan(before, in Input, p Plan) {
	if !reflect.DeepEqual(before, in) {
		w.t.Fatalf("Compute changed its Input:\n%s", cmp.Diff(before, in))
	}
	trimmed := before
	for i, pod := range before.Pods {
		trimmed.Pods[i] = TrimPod(pod)
	}
	again := Compute(trimmed)
	for i := range again.Release {
		again.Release[i] = w.cache[again.Release[i].UID]
	}
	for i := range again.Delete {
		again.Delete[i].Pod = w.cache[again.Delete[i].Pod.UID]
	}
	if !reflect.DeepEqual(p, again) {
		w.t.Fatalf("an equal Input, or trimmed Pods, give another Plan:\n%+v\n%+v", p, again)
	}
	if len(p.Create) > 0 && (!in.Observed || len(p.Delete) > 0 || isSuspended(in.Job) || in.Job.DeletionTimestamp != nil || p.Verdict != nil) {
		w.t.Fatalf("Pods are created although they must not be: %+v", p)
	}
}

// checkRelease checks that what the controller knows of the Pod is on record before its finalizer goes.
func (w *world) checkRelease(pod *corev1.Pod) {
	status := &w.job.Status
	if terminalCondition(status) != nil {
		return
	}
	uncounted := ptr.Deref(status.UncountedTerminatedPods, batchv1.UncountedTerminatedPods{})
	listed := sets.New(uncounted.Succeeded...).Insert(uncounted.Failed...)
	index := completionIndex(pod)
	if isIndexed(w.job) && (index == noIndex || index >= int(*w.job.Spec.Completions)) {
		return
	}
	switch {
	case isActive(pod):
		if w.job.DeletionTimestamp == nil {
			w.t.Fatalf("the finalizer of %s goes although it is active", pod.Name)
		}
		w.ledger.stopped.Insert(pod.UID)
	case pod.Status.Phase == corev1.PodSucceeded && isIndexed(w.job):
		ended := parseIndexes(status.CompletedIndexes, 1000).union(parseIndexes(ptr.Deref(status.FailedIndexes, ""), 1000))
		if !ended.has(index) && !listed.Has(pod.UID) {
			w.t.Fatalf("the finalizer of %s goes before its index is on record", pod.Name)
		}
	case pod.Status.Phase == corev1.PodSucceeded || w.ledger.endedBadly.Has(pod.UID) && w.job.Spec.PodFailurePolicy == nil:
		if !listed.Has(pod.UID) {
			w.t.Fatalf("the finalizer of %s goes before it is on record", pod.Name)
		}
	}
}

// checkCreate checks that a new Pod neither is one too many nor works on an index that is worked on or done.
func (w *world) checkCreate(pod *corev1.Pod) {
	active := w.sortedPods(isActive)
	if len(active) >= int(*w.job.Spec.Parallelism) {
		w.t.Fatalf("a Pod is created although %d of %d are active", len(active), *w.job.Spec.Parallelism)
	}
	if terminating := w.sortedPods(isTerminating); replacesOnlyEnded(w.job) && len(active)+len(terminating) >= int(*w.job.Spec.Parallelism) {
		w.t.Fatalf("a Pod is created although %d of %d are active and %d terminate", len(active), *w.job.Spec.Parallelism, len(terminating))
	}
	if !isIndexed(w.job) {
		return
	}
	index := completionIndex(pod)
	w.ledger.index[pod.UID] = index
	if index == noIndex || index >= int(*w.job.Spec.Completions) {
		w.t.Fatalf("a Pod is created with the index %d", index)
	}
	if parseIndexes(w.job.Status.CompletedIndexes, 1000).has(index) || parseIndexes(ptr.Deref(w.job.Status.FailedIndexes, ""), 1000).has(index) {
		w.t.Fatalf("the index %d runs again although it has ended", index)
	}
	for _, other := range w.sortedPods(func(other *corev1.Pod) bool { return completionIndex(other) == index }) {
		if isActive(other) || other.Status.Phase == corev1.PodSucceeded && len(other.Finalizers) > 0 && other.DeletionTimestamp == nil {
			w.t.Fatalf("the index %d runs again beside %s", index, other.Name)
		}
		if isTerminating(other) && replacesOnlyEnded(w.job) {
			w.t.Fatalf("the index %d runs again while %s is terminating", index, other.Name)
		}
	}
}

// checkNothingLost checks at the end of the Job that each Pod which ended by itself was counted.
func (w *world) checkNothingLost() {
	completed := parseIndexes(w.job.Status.CompletedIndexes, 1000).union(parseIndexes(ptr.Deref(w.job.Status.FailedIndexes, ""), 1000))
	for uid := range w.ledger.endedWell.Difference(w.ledger.stopped) {
		if isIndexed(w.job) {
			if !w.ledger.rescaled && !completed.has(w.ledger.index[uid]) && !w.ledger.failed.Has(uid) {
				w.t.Fatalf("the success of index %d by %s is lost", w.ledger.index[uid], uid)
			}
		} else if !w.ledger.succeeded.Has(uid) && !w.ledger.failed.Has(uid) {
			w.t.Fatalf("the success of %s is lost", uid)
		}
	}
	if w.job.Spec.PodFailurePolicy != nil || w.ledger.rescaled {
		return
	}
	if lost := w.ledger.endedBadly.Difference(w.ledger.stopped).Difference(w.ledger.failed); len(lost) > 0 {
		w.t.Fatalf("the failures of %v are lost", sets.List(lost))
	}
}
