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
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

var chaosRuns = flag.Int("chaos-runs", 12, "how many seeds TestChaos runs")

// TestChaos runs Jobs while requests are refused, answers are lost, the watches of Jobs and of Pods stall, go on for some events and are torn, each for itself,
// users delete Pods, suspend, resume and scale the Job, and the controller is restarted, all at random. At the end each Pod is counted once, and the checks of the fake API held all the time.
func TestChaos(t *testing.T) {
	t.Parallel()
	for seed := range *chaosRuns {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			runChaos(t, rand.New(rand.NewPCG(uint64(seed), 0)))
		})
	}
}

// chaos is one run of TestChaos.
type chaos struct {
	*env
	random *rand.Rand
	stop   func()

	// succeeded and failed are how many Pods ended so by themselves, deleted those that a user deleted. Of these it depends on what the controller
	// sees first whether they count as succeeded or failed, and of those that still terminate when the Job ends, whether they count.
	succeeded, failed int32
	deleted           sets.Set[types.UID]

	// torn is how often a watch was torn.
	torn int
}

// chaoticRounds is how often something may go wrong in a run. After that a Job that has not completed must.
const chaoticRounds = 3000

// briefBackoff keeps a run from spending most of its time on waiting for replacements.
func briefBackoff(config *Config) {
	config.Limits.FailureBackoff, config.Limits.FailureBackoffMax = time.Second, 4*time.Second
}

func runChaos(t *testing.T, random *rand.Rand) {
	t.Helper()
	c := &chaos{env: newEnv(t, briefBackoff), random: random, deleted: sets.New[types.UID]()}
	mode := func(*batchv1.Job) {}
	if random.IntN(2) == 0 {
		mode = indexed
	}
	completions := int32(5 + random.IntN(20))
	parallelism := int32(1 + random.IntN(8))
	suspension := []batchv1.SuspendPolicy{batchv1.SuspendKeepPods, batchv1.SuspendDeletePods}[random.IntN(2)]
	replacement := []batchv1.PodReplacementPolicy{batchv1.TerminatingOrFailed, batchv1.Failed}[random.IntN(2)]
	c.create(newJob(sized(parallelism, completions), backoffLimit(1000), mode, func(job *batchv1.Job) {
		job.Spec.PodReplacementPolicy, job.Spec.SuspendPolicy = &replacement, &suspension
	}))
	c.api.toss(randomFaults(rand.New(rand.NewPCG(random.Uint64(), 0))))
	c.stop = c.start()

	round := 0
	c.until("the Job completes", func() bool {
		round++
		if round == chaoticRounds {
			c.api.toss(nil) // enough: from here on it must go well
			c.change(func(job *batchv1.Job) { job.Spec.Suspend = new(false) })
		}
		c.disturb(round)
		for _, pod := range c.pods() {
			if !ended(pod) && random.IntN(4) == 0 {
				c.moveOn(pod)
			}
		}
		return condition(c.job(), batchv1.JobComplete) != nil
	})
	status := c.job().Status
	least, most := c.succeeded+c.failed, c.succeeded+c.failed+int32(c.deleted.Len())
	if counted := status.Succeeded + status.Failed; status.Succeeded != completions || status.Failed < c.failed || counted < least || counted > most {
		t.Errorf("%d of %d completions, %d failures are counted; there were %d and %d, and %d deleted Pods%s", status.Succeeded, completions, status.Failed,
			c.succeeded, c.failed, c.deleted.Len(), c.summary())
	}
	c.openWatches()
	c.until("no finalizer is left", func() bool {
		return !slices.ContainsFunc(c.pods(), func(pod *corev1.Pod) bool { return len(pod.Finalizers) > 0 })
	})
}

// disturb does something to the watches or to the controller, now and then.
func (c *chaos) disturb(round int) {
	watch := []*gate{&c.api.podWatch, &c.api.jobWatch}[c.random.IntN(2)]
	switch c.random.IntN(40) {
	case 0, 1:
		watch.close()
	case 2, 3, 4:
		c.openWatches()
	case 5, 6:
		watch.allow(1 + c.random.IntN(4))
	case 7:
		if c.torn < 2 && c.random.IntN(4) == 0 { // it takes a watcher a second to list anew
			c.torn++
			watch.tear()
		}
	case 9:
		if round < chaoticRounds && c.random.IntN(4) == 0 && !finished(c.job()) {
			c.change(func(job *batchv1.Job) {
				if c.random.IntN(2) == 0 {
					job.Spec.Suspend = new(!*job.Spec.Suspend)
				} else {
					job.Spec.Parallelism = new(int32(1 + c.random.IntN(8)))
				}
			})
		}
	case 8:
		if c.random.IntN(4) == 0 {
			c.openWatches()
			c.stop()
			c.env = newEnvOn(c.t, c.api, c.clock, briefBackoff)
			c.stop = c.start()
		}
	}
}

func (c *chaos) openWatches() {
	c.api.podWatch.open()
	c.api.jobWatch.open()
}

// moveOn does with a Pod that has not ended what its kubelet, or a user, may do next.
func (c *chaos) moveOn(pod *corev1.Pod) {
	switch {
	case pod.DeletionTimestamp != nil: // by a user, or by the controller
		c.endIfThere(pod, int32(c.random.IntN(2)))
	case c.deleted.Len() < 4 && c.random.IntN(10) == 0:
		if c.api.deleteAsUser(pod.Namespace, pod.Name) {
			c.deleted.Insert(pod.UID)
		}
	case pod.Status.Phase == corev1.PodPending:
		c.api.changeTracked(pod, running)
	case c.failed < 4 && c.random.IntN(5) == 0:
		if c.api.changeTracked(pod, c.ending(1)) {
			c.failed++
		}
	default:
		if c.api.changeTracked(pod, c.ending(0)) {
			c.succeeded++
		}
	}
}

// randomFaults fails one request in eight.
func randomFaults(random *rand.Rand) func() *fault {
	return func() *fault {
		switch random.IntN(24) {
		case 0:
			return &fault{err: apierrors.NewInternalError(errLost)}
		case 1:
			return &fault{err: errLost, lost: true}
		case 2:
			return &fault{err: apierrors.NewConflict(jobsResource.GroupResource(), jobName, errLost)}
		default:
			return nil
		}
	}
}
