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
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

var histories = flag.Int("histories", 1000, "how many random histories TestHistories runs, in as many parts as there are processors; -rapid.checks goes before it")

// TestMain hands the number of histories on to rapid.
func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "rapid.checks" })
	if !chosen {
		parts := runtime.GOMAXPROCS(0)
		if err := flag.Set("rapid.checks", strconv.Itoa((*histories+parts-1)/parts)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}

// TestHistories lets users, kubelets and a failing, crashing controller with a stale cache do what they like to a random
// Job, and checks after each step that nothing is lost, counted twice or run twice. After that they behave, and the Job
// must come to its end. rapid shrinks a history that fails, prints it step by step, and says how to run it again.
func TestHistories(t *testing.T) {
	t.Parallel()
	for part := range runtime.GOMAXPROCS(0) {
		t.Run(strconv.Itoa(part), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				w := newWorld(t, drawJob(t))
				// About 30 steps: from a history that fails, rapid can leave out any of them.
				t.Repeat(map[string]func(*rapid.T){"step": func(*rapid.T) { w.step() }})
				w.calmDown()
			})
		})
	}
}

func drawJob(t *rapid.T) *batchv1.Job {
	b := makeJob()
	b.Spec.Parallelism = new(rapid.Int32Range(0, 4).Draw(t, "parallelism"))
	b.Spec.BackoffLimit = new(rapid.SampledFrom([]int32{0, 1, 3, 1000}).Draw(t, "backoffLimit"))
	b.Spec.PodReplacementPolicy = new(rapid.SampledFrom([]batchv1.PodReplacementPolicy{batchv1.TerminatingOrFailed, batchv1.Failed}).Draw(t, "podReplacementPolicy"))
	b.Spec.DisruptionPolicy = rapid.SampledFrom([]*batchv1.DisruptionPolicy{nil, new(batchv1.DisruptionCount), new(batchv1.DisruptionIgnore)}).Draw(t, "disruptionPolicy")
	b.Spec.SuspendPolicy = rapid.SampledFrom([]*batchv1.SuspendPolicy{nil, new(batchv1.SuspendDeletePods), new(batchv1.SuspendKeepPods)}).Draw(t, "suspendPolicy")
	b.Spec.Suspend = new(rapid.IntRange(0, 9).Draw(t, "suspended") == 0)
	switch rapid.IntRange(0, 3).Draw(t, "mode") {
	case 0:
		b.Spec.Completions = nil
		b.Spec.WorkQueuePolicy = rapid.SampledFrom([]*batchv1.WorkQueuePolicy{nil, new(batchv1.WorkQueueRunUntilDeleted)}).Draw(t, "workQueuePolicy")
	case 1:
		b.completions(rapid.Int32Range(0, 8).Draw(t, "completions"))
	default:
		b.indexed(rapid.Int32Range(0, 8).Draw(t, "completions"))
		if rapid.Bool().Draw(t, "elastic") {
			b.Spec.Parallelism = new(*b.Spec.Completions)
		}
		if rapid.Bool().Draw(t, "limited per index") {
			b.limitPerIndex(rapid.Int32Range(0, 2).Draw(t, "backoffLimitPerIndex"))
			if rapid.Bool().Draw(t, "limited") {
				b.maxFailed(rapid.Int32Range(0, 2).Draw(t, "maxFailedIndexes"))
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "has successPolicy") == 0 {
			b.successRules(batchv1.SuccessPolicyRule{SucceededIndexes: new("0,2-3")}, batchv1.SuccessPolicyRule{SucceededCount: new(int32(5))})
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "has podFailurePolicy") == 0 {
		rules := []batchv1.PodFailurePolicyRule{exitRule(batchv1.PodFailurePolicyActionIgnore, 42), exitRule(batchv1.PodFailurePolicyActionFailJob, 43)}
		if b.Spec.BackoffLimitPerIndex != nil {
			rules = append(rules, exitRule(batchv1.PodFailurePolicyActionFailIndex, 44))
		}
		onDisruption := batchv1.PodFailurePolicyRule{
			Action: rapid.SampledFrom([]batchv1.PodFailurePolicyAction{
				batchv1.PodFailurePolicyActionIgnore, batchv1.PodFailurePolicyActionCount}).Draw(t, "on disruption"),
			OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
		}
		b.failureRules(append(rules, onDisruption)...)
	} else if rapid.IntRange(0, 3).Draw(t, "restarts in place") == 0 {
		// Not together with a podFailurePolicy, which the API refuses.
		b.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	}
	if rapid.IntRange(0, 3).Draw(t, "has deadline") == 0 {
		b.deadline(rapid.Int64Range(0, 500).Draw(t, "activeDeadlineSeconds"))
	}
	return b.obj()
}

func exitRule(action batchv1.PodFailurePolicyAction, codes ...int32) batchv1.PodFailurePolicyRule {
	return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
		Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: codes,
	}}
}

func isPending(pod *corev1.Pod) bool { return isActive(pod) && pod.Status.Phase == corev1.PodPending }
func isRunning(pod *corev1.Pod) bool { return isActive(pod) && pod.Status.Phase == corev1.PodRunning }

// endByItself ends a running Pod that nobody told to.
func (w *world) endByItself(pod *corev1.Pod, code int32) {
	if podCondition(pod, corev1.DisruptionTarget) == nil && w.cache != nil && len(pod.Finalizers) > 0 {
		if code == 0 {
			w.ledger.endedWell.Insert(pod.UID)
		} else {
			w.ledger.endedBadly.Insert(pod.UID)
		}
	}
	w.end(pod, code)
}

// step is one thing that happens.
func (w *world) step() {
	w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 0, 300, 1000, 5000, 20000}).Draw(w.t, "ms")) * time.Millisecond)
	switch action := rapid.IntRange(0, 99).Draw(w.t, "action"); {
	case action < 40:
		w.sync(w.randomFaults())
	case action < 58:
		w.refresh(func(types.UID) bool { return w.chance(80, "seen") })
	case action < 80:
		w.kubeletStep()
	case action < 82:
		w.now = w.now.Add(10 * time.Minute)
	case action < 84:
		w.logf("the controller restarts")
		w.restart()
	default:
		w.userStep()
	}
}

func (w *world) kubeletStep() {
	switch action := rapid.IntRange(0, 9).Draw(w.t, "kubelet"); {
	case action < 4:
		if pod := w.pick("start", isPending); pod != nil {
			w.start(pod)
		}
	case action < 8:
		if pod := w.pick("end", isRunning); pod != nil {
			w.endByItself(pod, rapid.SampledFrom([]int32{0, 0, 0, 1, 42, 43, 44}).Draw(w.t, "code"))
		}
	case action < 9:
		if pod := w.pick("stop", isTerminating); pod != nil {
			w.end(pod, rapid.SampledFrom([]int32{143, 143, 0, 1}).Draw(w.t, "code"))
		}
	case w.job.Spec.Template.Spec.RestartPolicy == corev1.RestartPolicyOnFailure:
		if pod := w.pick("restart", isRunning); pod != nil {
			w.restartContainer(pod)
		}
	default:
		if pod := w.pick("disrupt", isActive); pod != nil {
			w.disrupt(pod, rapid.Bool().Draw(w.t, "with its node"))
		}
	}
}

func (w *world) userStep() {
	if terminalCondition(&w.job.Status) != nil {
		return
	}
	switch action := rapid.IntRange(0, 21).Draw(w.t, "user"); {
	case action < 5:
		if pod := w.pick("delete", func(*corev1.Pod) bool { return true }); pod != nil {
			w.logf("a user deletes %s", pod.Name)
			if finishTime(pod).Equal(w.now.Truncate(time.Second)) {
				// Who was first can't be told, see isDisrupted; the disruptionPolicy of now need not be that of the moment when it matters.
				w.ledger.endedBadly.Delete(pod.UID)
			}
			w.deletePod(pod)
		}
	case action < 10:
		w.job.Spec.Suspend = new(!*w.job.Spec.Suspend)
		w.logf("suspend: %v", *w.job.Spec.Suspend)
	case action < 15:
		w.rescale(rapid.Int32Range(0, 5).Draw(w.t, "to"))
	case action < 17:
		w.job.Spec.ActiveDeadlineSeconds = rapid.SampledFrom([]*int64{nil, new(int64(30)), new(int64(3000))}).Draw(w.t, "deadline")
	case action < 18:
		if pod := w.pick("strip", func(*corev1.Pod) bool { return true }); pod != nil {
			w.strip(pod)
		}
	case action < 21:
		w.changePolicy()
	default:
		w.job.DeletionTimestamp = new(metav1.NewTime(w.now))
		w.logf("a user deletes the Job")
	}
}

// changePolicy changes one of the policies and limits that may change at any time.
func (w *world) changePolicy() {
	spec := &w.job.Spec
	switch rapid.IntRange(0, 5).Draw(w.t, "policy") {
	case 0:
		spec.DisruptionPolicy = rapid.SampledFrom([]*batchv1.DisruptionPolicy{new(batchv1.DisruptionCount), new(batchv1.DisruptionIgnore)}).Draw(w.t, "disruptionPolicy")
	case 1:
		spec.SuspendPolicy = rapid.SampledFrom([]*batchv1.SuspendPolicy{new(batchv1.SuspendDeletePods), new(batchv1.SuspendKeepPods)}).Draw(w.t, "suspendPolicy")
	case 2:
		if spec.Completions == nil {
			spec.WorkQueuePolicy = rapid.SampledFrom([]*batchv1.WorkQueuePolicy{
				new(batchv1.WorkQueueCompleteOnFirstSuccess), new(batchv1.WorkQueueRunUntilDeleted)}).Draw(w.t, "workQueuePolicy")
		}
	case 3:
		spec.PodReplacementPolicy = new(rapid.SampledFrom([]batchv1.PodReplacementPolicy{batchv1.TerminatingOrFailed, batchv1.Failed}).Draw(w.t, "podReplacementPolicy"))
	case 4:
		spec.BackoffLimit = new(rapid.SampledFrom([]int32{0, 1, 3, 1000}).Draw(w.t, "backoffLimit"))
	case 5:
		if spec.BackoffLimitPerIndex != nil {
			spec.MaxFailedIndexes = rapid.SampledFrom([]*int32{nil, new(int32(0)), new(int32(2))}).Draw(w.t, "maxFailedIndexes")
		}
	}
	w.logf("policies: %v, %v, %v, %v, %d", ptr.Deref(spec.DisruptionPolicy, ""), ptr.Deref(spec.SuspendPolicy, ""), ptr.Deref(spec.WorkQueuePolicy, ""),
		*spec.PodReplacementPolicy, *spec.BackoffLimit)
}

// rescale changes parallelism, and with it the completions of an elastic Job.
func (w *world) rescale(to int32) {
	w.logf("parallelism: %d", to)
	spec := &w.job.Spec
	if isIndexed(w.job) && *spec.Completions == *spec.Parallelism {
		spec.Completions = new(to)
		w.ledger.rescaled = true
	}
	spec.Parallelism = new(to)
}

// calmDown ends all misbehaviour. From then on each sync must come to rest, and the Job to its end.
func (w *world) calmDown() {
	w.logf("--- all calm")
	if *w.job.Spec.Parallelism == 0 {
		w.rescale(1)
	}
	w.job.Spec.Suspend = new(false)
	for range 200 {
		p := w.comeToRest()
		if w.isOver() {
			w.checkNothingLost()
			return
		}
		if w.job.DeletionTimestamp == nil && runsUntilDeleted(w.job) && len(w.ledger.succeeded) > 20 {
			w.job.DeletionTimestamp = new(metav1.NewTime(w.now))
		}
		for _, pod := range w.sortedPods(isPending) {
			w.start(pod)
		}
		for _, pod := range w.sortedPods(isRunning) {
			w.endByItself(pod, 0)
		}
		for _, pod := range w.sortedPods(isTerminating) {
			w.end(pod, 143)
		}
		w.now = w.now.Add(time.Second)
		if p.NextSync.After(w.now) {
			w.now = p.NextSync
		}
	}
	w.t.Fatalf("the Job does not end: %+v", w.job.Status)
}

// isOver says whether nothing is left for the controller to do.
func (w *world) isOver() bool {
	tracked := w.sortedPods(func(pod *corev1.Pod) bool { return len(pod.Finalizers) > 0 })
	return len(tracked) == 0 && (terminalCondition(&w.job.Status) != nil || w.job.DeletionTimestamp != nil)
}

// comeToRest syncs until there is nothing to do, which must happen soon while nothing else does, and returns the plan that
// does nothing.
func (w *world) comeToRest() Plan {
	for range 30 {
		w.refresh(func(types.UID) bool { return true })
		status := *w.job.Status.DeepCopy()
		p, _ := w.sync(noFaults)
		if p.Record == nil && len(p.Release)+len(p.Delete)+len(p.Create)+len(p.Events) == 0 && w.statusEqual(status) {
			if !p.NextSync.IsZero() && !p.NextSync.After(w.now) {
				w.t.Fatalf("a plan that does nothing wants to be made again at once")
			}
			w.checkAtRest()
			return p
		}
	}
	w.t.Fatalf("the controller does not come to rest: %+v", w.job.Status)
	return Plan{}
}

// checkAtRest checks what a Job is like that nothing is left to do for: as many Pods run as should, and each of them can be counted.
func (w *world) checkAtRest() {
	if w.job.DeletionTimestamp != nil || interimCondition(&w.job.Status) != nil {
		return
	}
	active := w.sortedPods(isActive)
	if len(active) > int(*w.job.Spec.Parallelism) && (w.job.Spec.Completions != nil || runsUntilDeleted(w.job)) {
		w.t.Fatalf("%d Pods are active, want %d at most", len(active), *w.job.Spec.Parallelism)
	}
	for _, pod := range active {
		if len(pod.Finalizers) == 0 {
			w.t.Fatalf("%s stays active although its result can't be counted", pod.Name)
		}
	}
	if got := int(w.job.Status.Active); got != len(active) {
		w.t.Fatalf("status.active is %d, but %d Pods are", got, len(active))
	}
}
