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
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"pgregory.net/rapid"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// world is a cluster in miniature: an API with one Job and its Pods, the kubelets that run them, users who meddle with
// them, and a controller that acts by Compute and Settle upon a cache that lags behind.
type world struct {
	t   *rapid.T
	now time.Time

	// The API.
	job  *batchv1.Job
	pods map[types.UID]*corev1.Pod
	made int

	// The controller's memory; all of it is lost in a crash.
	cache      map[types.UID]*corev1.Pod
	backoff    BackoffRecord
	released   sets.Set[types.UID]
	unseenNew  sets.Set[types.UID]
	unseenGone sets.Set[types.UID]

	ledger *ledger

	// lastEvent is the last event that was emitted.
	lastEvent Event
}

func newWorld(t *rapid.T, job *batchv1.Job) *world {
	w := &world{t: t, now: t0, job: job, pods: map[types.UID]*corev1.Pod{}}
	w.ledger = newLedger()
	w.restart()
	return w
}

func (w *world) logf(format string, args ...any) {
	w.t.Logf("%6.0fs "+format, append([]any{w.now.Sub(t0).Seconds()}, args...)...)
}

func (w *world) chance(percent int, what string) bool {
	return rapid.IntRange(1, 100).Draw(w.t, what) > 100-percent
}

// sortedPods are the Pods of the API that fit, in the order of their creation.
func (w *world) sortedPods(fits func(*corev1.Pod) bool) []*corev1.Pod {
	var pods []*corev1.Pod
	for _, pod := range w.pods {
		if fits(pod) {
			pods = append(pods, pod)
		}
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(string(a.UID), string(b.UID)) })
	return pods
}

func (w *world) pick(what string, fits func(*corev1.Pod) bool) *corev1.Pod {
	pods := w.sortedPods(fits)
	if len(pods) == 0 {
		return nil
	}
	// By number: a Pod printed whole hides the history.
	return pods[rapid.IntRange(0, len(pods)-1).Draw(w.t, what)]
}

// Kubelets.

func (w *world) start(pod *corev1.Pod) {
	pod.Spec.NodeName = "node"
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
		Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(w.now.Truncate(time.Second))})
}

func (w *world) end(pod *corev1.Pod, exitCode int32) {
	pod.Status.Phase = corev1.PodSucceeded
	if exitCode != 0 {
		pod.Status.Phase = corev1.PodFailed
	}
	pod.Status.Conditions = slices.DeleteFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady })
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", RestartCount: restarts(pod), State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: exitCode, FinishedAt: metav1.NewTime(w.now.Truncate(time.Second))}}}}
	w.logf("%s exits %d", pod.Name, exitCode)
	w.reap(pod)
}

// reap removes a deleted Pod from the API once nothing keeps it.
func (w *world) reap(pod *corev1.Pod) {
	if pod.DeletionTimestamp != nil && hasEnded(pod) && len(pod.Finalizers) == 0 {
		delete(w.pods, pod.UID)
	}
}

// deletePod is the API's DELETE.
func (w *world) deletePod(pod *corev1.Pod) {
	if pod.DeletionTimestamp == nil {
		var grace int64
		if !hasEnded(pod) && pod.Spec.NodeName != "" {
			grace = 30
		}
		pod.DeletionTimestamp = new(metav1.NewTime(w.now.Truncate(time.Second).Add(time.Duration(grace) * time.Second)))
		pod.DeletionGracePeriodSeconds = &grace
	}
	if pod.Spec.NodeName == "" && !hasEnded(pod) {
		// Never scheduled: the Pod garbage collector ends it (rule B83).
		pod.Status.Phase = corev1.PodFailed
	}
	w.reap(pod)
}

// restartContainer is what a kubelet does when the container of a Pod with restartPolicy OnFailure fails.
func (w *world) restartContainer(pod *corev1.Pod) {
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", RestartCount: restarts(pod) + 1}}
	w.logf("%s restarts its container", pod.Name)
}

func restarts(pod *corev1.Pod) int32 {
	return maxRestarts(pod, false)
}

// disrupt evicts the Pod; if its node is lost, the Pod garbage collector fails it first.
func (w *world) disrupt(pod *corev1.Pod, lost bool) {
	w.ledger.disrupted.Insert(pod.UID)
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue})
	if lost {
		pod.Status.Phase = corev1.PodFailed
	}
	w.logf("%s is disrupted, its node lost: %v", pod.Name, lost)
	w.deletePod(pod)
}

// strip is a user who takes the finalizers off a Pod, after which nobody can say what becomes of its result.
func (w *world) strip(pod *corev1.Pod) {
	w.logf("a user takes the finalizers off %s", pod.Name)
	w.ledger.stopped.Insert(pod.UID)
	w.ledger.stripped.Insert(pod.UID)
	w.release(pod)
}

func (w *world) release(pod *corev1.Pod) {
	pod.Finalizers = nil
	w.reap(pod)
}

// The controller's cache.

func (w *world) restart() {
	w.cache = map[types.UID]*corev1.Pod{}
	w.backoff = BackoffRecord{}
	w.released, w.unseenNew, w.unseenGone = sets.New[types.UID](), sets.New[types.UID](), sets.New[types.UID]()
	w.refresh(func(types.UID) bool { return true })
}

// refresh lets the cache see the present state of the Pods that are chosen.
func (w *world) refresh(chosen func(types.UID) bool) {
	uids := sets.New[types.UID]()
	for uid := range w.pods {
		uids.Insert(uid)
	}
	for uid := range w.cache {
		uids.Insert(uid)
	}
	uids = uids.Union(w.unseenNew) // of which some may have come and gone
	for _, uid := range sets.List(uids) {
		if !chosen(uid) {
			continue
		}
		pod, exists := w.pods[uid]
		if !exists {
			delete(w.cache, uid)
		} else {
			w.cache[uid] = pod.DeepCopy()
		}
		w.unseenNew.Delete(uid)
		if !exists || len(pod.Finalizers) == 0 {
			w.released.Delete(uid)
		}
		if !exists || pod.DeletionTimestamp != nil {
			w.unseenGone.Delete(uid)
		}
	}
}

func (w *world) input() Input {
	in := Input{
		Job:      w.job.DeepCopy(),
		Released: w.released.Clone(),
		Observed: len(w.unseenNew)+len(w.unseenGone) == 0,
		Backoff:  w.backoff,
		Now:      w.now,
		Limits:   Limits{MaxUncountedPods: 4, MaxPodCreateDeletePerSync: 5},
		Identity: testIdentity,
	}
	for _, uid := range sets.List(sets.KeySet(w.cache)) {
		in.Pods = append(in.Pods, w.cache[uid]) // a copy already, and like that of a real cache not to be modified
	}
	return in
}

// clone returns the Input with a Job and Pods of its own.
func clone(in Input) Input {
	in.Job = in.Job.DeepCopy()
	in.Pods = slices.Clone(in.Pods)
	for i, pod := range in.Pods {
		in.Pods[i] = pod.DeepCopy()
	}
	in.Released = in.Released.Clone()
	in.Backoff.Seen = slices.Clone(in.Backoff.Seen)
	return in
}

// faults says which requests of a sync fail and when the controller crashes.
type faults struct {
	request func(what string) bool
	crash   func(where string) bool
}

var noFaults = faults{
	request: func(string) bool { return false },
	crash:   func(string) bool { return false },
}

func (w *world) randomFaults() faults {
	return faults{
		request: func(what string) bool { return w.chance(15, what+" fails") },
		crash:   func(where string) bool { return w.chance(5, "crash "+where) },
	}
}

// sync is the shell in miniature. It returns the plan that it carried out, and whether it came to its end.
func (w *world) sync(f faults) (Plan, bool) {
	in := w.input()
	before := clone(in)
	p := Compute(in)
	w.logf("sync observed=%v verdict=%v record=%v release=%v delete=%d create=%d active=%d", in.Observed, p.Verdict, p.Record != nil, podNames(p.Release), len(p.Delete), len(p.Create), len(w.sortedPods(isActive)))
	w.checkPlan(before, in, p)
	var o Outcome
	if p.Record != nil {
		if f.request("record") {
			return p, false
		}
		w.writeStatus(*p.Record)
		o.Recorded = true
		w.emit(p.Events)
	}
	w.backoff = p.Backoff
	if f.crash("after record") {
		w.restart()
		return p, false
	}
	o.Released, o.Deleted = sets.New[types.UID](), sets.New[types.UID]()
	if !w.carryOut(p, &o, f) {
		w.restart()
		return p, false
	}
	status := Settle(in, p, o)
	if !w.statusEqual(status) {
		if f.request("status") {
			return p, false
		}
		w.writeStatus(status)
	}
	if p.Record == nil {
		w.emit(p.Events)
	}
	return p, true
}

// emit checks that the events of a Job that is suspended and resumed again and again come once each.
func (w *world) emit(events []Event) {
	for _, event := range events {
		if event == w.lastEvent || w.lastEvent == (Event{}) && event.Reason != eventSuspended {
			w.t.Fatalf("event %q after %q", event.Reason, w.lastEvent.Reason)
		}
		w.lastEvent = event
	}
}

// carryOut does what the plan says; it is false if the controller crashed meanwhile.
func (w *world) carryOut(p Plan, o *Outcome, f faults) bool {
	release := func(uid types.UID) bool {
		pod, exists := w.pods[uid]
		if exists && f.request("release") {
			return false
		}
		w.released.Insert(uid) // also of a Pod that is gone, which the cache may still show
		if exists {
			w.release(pod)
		}
		o.Released.Insert(uid)
		return true
	}
	for _, pod := range p.Release {
		w.checkRelease(pod)
		release(pod.UID)
		if f.crash("between releases") {
			return false
		}
	}
	for _, deletion := range p.Delete {
		uid := deletion.Pod.UID
		if pod, exists := w.pods[uid]; exists && deletion.Finalizer == ReleaseFirst && hasEnded(pod) && len(pod.Finalizers) > 0 {
			continue // the shell does not give up a Pod that has changed, and sees that this one has ended
		}
		w.ledger.stopped.Insert(uid)
		if deletion.Finalizer == ReleaseFirst && !release(uid) {
			continue
		}
		if pod, exists := w.pods[uid]; exists {
			if f.request("delete") {
				continue
			}
			if pod.DeletionTimestamp == nil {
				w.unseenGone.Insert(uid)
			}
			w.deletePod(pod)
		}
		o.Deleted.Insert(uid)
		if deletion.Finalizer == ReleaseAfter {
			release(uid)
		}
		if f.crash("between deletions") {
			return false
		}
	}
	for _, pod := range p.Create {
		if f.request("create") {
			continue
		}
		w.create(pod)
		o.Created++
		if f.crash("between creations") {
			return false
		}
	}
	return true
}

func (w *world) create(template *corev1.Pod) {
	pod := template.DeepCopy()
	pod.Name = fmt.Sprintf("%s%04d", pod.GenerateName, w.made)
	pod.UID = types.UID(fmt.Sprintf("uid-%04d", w.made))
	w.made++
	pod.CreationTimestamp = metav1.NewTime(w.now.Truncate(time.Second))
	pod.Status.Phase = corev1.PodPending
	w.checkCreate(pod)
	w.pods[pod.UID] = pod
	w.unseenNew.Insert(pod.UID)
	w.logf("created %s, index %q", pod.Name, pod.Annotations[batch.JobCompletionIndexAnnotation])
}
