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
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

var chaosRuns = flag.Int("chaos-runs", 12, "how many seeds TestChaos runs")

// TestChaos runs Jobs while requests are refused, answers are lost, the watches of Jobs and of Pods stall, go on for some events and are torn, each for itself,
// users delete Pods and the controller is restarted, all at random. At the end each Pod is counted once, and the checks of the fake API held all the time.
func TestChaos(t *testing.T) {
	t.Parallel()
	for seed := range *chaosRuns {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			runChaos(t, rand.New(rand.NewPCG(uint64(seed), 0)))
		})
	}
}

func runChaos(t *testing.T, random *rand.Rand) {
	t.Helper()
	e := newEnv(t)
	mode := func(*batchv1.Job) {}
	if random.IntN(2) == 0 {
		mode = indexed
	}
	completions := int32(5 + random.IntN(20))
	parallelism := int32(1 + random.IntN(8))
	replacement := []batchv1.PodReplacementPolicy{batchv1.TerminatingOrFailed, batchv1.Failed}[random.IntN(2)]
	e.create(newJob(sized(parallelism, completions), backoffLimit(1000), mode, func(job *batchv1.Job) { job.Spec.PodReplacementPolicy = &replacement }))
	e.api.toss(randomFaults(rand.New(rand.NewPCG(random.Uint64(), 0))))
	stop := e.start()

	// Of deleted Pods it depends on what the controller sees first whether they count as succeeded or failed, and of those that still terminate when
	// the Job ends, whether they count.
	var succeeded, failed int32
	deleted := sets.New[types.UID]()
	round, torn := 0, 0
	e.until("the Job completes", func() bool {
		round++
		if round == 3000 {
			e.api.toss(nil) // enough: from here on it must go well
		}
		switch random.IntN(40) {
		case 0:
			e.api.podWatch.close()
		case 1:
			e.api.jobWatch.close()
		case 2, 3, 4:
			e.api.podWatch.open()
			e.api.jobWatch.open()
		case 6, 7:
			[]*gate{&e.api.podWatch, &e.api.jobWatch}[random.IntN(2)].allow(1 + random.IntN(4))
		case 8:
			if torn < 2 && random.IntN(4) == 0 { // it takes a watcher a second to list anew
				torn++
				[]*gate{&e.api.podWatch, &e.api.jobWatch}[random.IntN(2)].tear()
			}
		case 5:
			if random.IntN(4) == 0 {
				e.api.podWatch.open()
				e.api.jobWatch.open()
				stop()
				e = newEnvOn(t, e.api, e.clock)
				stop = e.start()
			}
		}
		for _, pod := range e.pods() {
			switch {
			case ended(pod) || random.IntN(4) != 0:
			case pod.DeletionTimestamp != nil: // by a user, or by the controller
				e.endIfThere(pod, int32(random.IntN(2)))
			case deleted.Len() < 4 && random.IntN(10) == 0:
				if e.api.deleteAsUser(pod.Namespace, pod.Name) {
					deleted.Insert(pod.UID)
				}
			case pod.Status.Phase == corev1.PodPending:
				e.run(pod)
			case failed < 4 && random.IntN(5) == 0:
				failed++
				e.end(pod, 1)
			default:
				succeeded++
				e.end(pod, 0)
			}
		}
		return condition(e.job(), batchv1.JobComplete) != nil
	})
	status := e.job().Status
	least, most := succeeded+failed, succeeded+failed+int32(deleted.Len())
	if counted := status.Succeeded + status.Failed; status.Succeeded != completions || status.Failed < failed || counted < least || counted > most {
		t.Errorf("%d of %d completions, %d failures are counted; there were %d and %d, and %d deleted Pods%s", status.Succeeded, completions, status.Failed,
			succeeded, failed, deleted.Len(), e.summary())
	}
	e.api.podWatch.open()
	e.api.jobWatch.open()
	e.until("no finalizer is left", func() bool {
		for _, pod := range e.pods() {
			if len(pod.Finalizers) > 0 {
				return false
			}
		}
		return true
	})
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
