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
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/uuid"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned/fake"
)

var (
	jobsResource = batchv1.SchemeGroupVersion.WithResource("jobs")
	podsResource = corev1.SchemeGroupVersion.WithResource("pods")
)

// fakeAPI is an API server for Jobs and Pods behind fake clientsets. On top of what their object tracker does it keeps
// resource versions and refuses outdated ones, makes names and UIDs, and deletes Pods in two steps.
type fakeAPI struct {
	jobs  *fake.Clientset
	pods  *kubefake.Clientset
	clock clock.PassiveClock

	mu      sync.Mutex
	version int64

	// statuses are the Job statuses written, in order; recorded are the Pods that have been on an uncounted list of one.
	statuses []batchv1.JobStatus
	recorded sets.Set[types.UID]

	// faults answer requests instead of, or after, the API.
	faults []*fault

	// writesLeft is how many more writes of the controller succeed; negative: all.
	writesLeft int

	// chance, where set, decides on the fault of a write of the controller.
	chance func() *fault

	// violations are what should never have been asked for.
	violations []string

	// removed are the Pods that were removed.
	removed []runtime.Object

	// podWatch, jobWatch hold back events while they are closed.
	podWatch, jobWatch gate
}

// fault fails requests.
type fault struct {
	verb, resource, subresource string
	// times is how many requests fail; -1 is all. Before that, skip requests don't.
	times, skip int
	// lost says that the request is carried out and only its answer is lost.
	lost bool
	err  error
	hits int
}

func newFakeAPI(c clock.PassiveClock) *fakeAPI {
	api := &fakeAPI{jobs: fake.NewSimpleClientset(), pods: kubefake.NewSimpleClientset(), clock: c, version: 100, writesLeft: -1, recorded: sets.New[types.UID]()}
	api.podWatch.init()
	api.jobWatch.init()
	api.jobs.PrependReactor("*", "jobs", api.reaction(api.handleJob, api.jobs.Tracker()))
	api.pods.PrependReactor("*", "pods", api.reaction(api.handlePod, api.pods.Tracker()))
	api.jobs.PrependWatchReactor("jobs", gatedWatch(api.jobs.Tracker(), &api.jobWatch, func() []runtime.Object { return nil }))
	api.pods.PrependWatchReactor("pods", gatedWatch(api.pods.Tracker(), &api.podWatch, api.removedPods))
	return api
}

// removedPods are the Pods that were removed so far, but for those whose name another has now.
func (a *fakeAPI) removedPods() []runtime.Object {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(a.removed), func(obj runtime.Object) bool {
		pod := obj.(*corev1.Pod)
		return a.podNamed(pod.Namespace, pod.Name) != nil
	})
}

// fail makes the next requests of the kind fail with err.
func (a *fakeAPI) fail(f fault) *fault {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = append(a.faults, &f)
	return &f
}

// hits returns how many requests the fault met.
func (a *fakeAPI) hits(f *fault) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return f.hits
}

// heal ends all faults.
func (a *fakeAPI) heal() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = nil
}

// reaction answers requests by handle, or by the tracker where handle doesn't.
func (a *fakeAPI) reaction(handle clienttesting.ReactionFunc, tracker clienttesting.ObjectTracker) clienttesting.ReactionFunc {
	fallback := clienttesting.ObjectReaction(tracker)
	return func(action clienttesting.Action) (bool, runtime.Object, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		f := a.faultFor(action)
		if f != nil && !f.lost {
			return true, nil, f.err
		}
		handled, obj, err := handle(action)
		if !handled {
			_, obj, err = fallback(action)
		}
		if f != nil {
			return true, nil, f.err
		}
		return true, obj, err
	}
}

// crash makes the API refuse all writes of the controller after the next n.
func (a *fakeAPI) crash(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writesLeft = n
}

// toss makes chance decide on the faults of the controller's writes; nil: no more.
func (a *fakeAPI) toss(chance func() *fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.chance = chance
}

// crashed tells whether the API has refused a write.
func (a *fakeAPI) crashed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.writesLeft == 0
}

func (a *fakeAPI) faultFor(action clienttesting.Action) *fault {
	if isControllerWrite(action) && a.writesLeft >= 0 {
		if a.writesLeft == 0 {
			return &fault{err: errDown}
		}
		a.writesLeft--
	}
	if isControllerWrite(action) && a.chance != nil {
		return a.chance()
	}
	for _, f := range a.faults {
		if f.times != 0 && action.Matches(f.verb, f.resource) && action.GetSubresource() == f.subresource {
			if f.skip > 0 {
				f.skip--
				continue
			}
			f.times--
			f.hits++
			return f
		}
	}
	return nil
}

// isControllerWrite tells the controller's writes from those of the test as user and as kubelet.
func isControllerWrite(action clienttesting.Action) bool {
	switch action.GetVerb() {
	case "create", "patch", "delete":
		return action.GetResource().Resource == "pods"
	case "update":
		return action.GetResource().Resource == "jobs" && action.GetSubresource() == "status"
	}
	return false
}

func (a *fakeAPI) nextVersion() string {
	a.version++
	return strconv.FormatInt(a.version, 10)
}

// handleJob keeps versions of Jobs and refuses status writes to outdated ones.
func (a *fakeAPI) handleJob(action clienttesting.Action) (bool, runtime.Object, error) {
	tracker := a.jobs.Tracker()
	switch action := action.(type) {
	case clienttesting.CreateActionImpl:
		job := action.GetObject().DeepCopyObject().(*batchv1.Job)
		job.ResourceVersion, job.UID, job.Generation = a.nextVersion(), uuid.NewUUID(), 1
		job.CreationTimestamp = metav1.NewTime(a.clock.Now())
		generateSelector(job)
		return true, job, tracker.Create(jobsResource, job, job.Namespace)
	case clienttesting.UpdateActionImpl:
		job := action.GetObject().DeepCopyObject().(*batchv1.Job)
		obj, err := tracker.Get(jobsResource, job.Namespace, job.Name)
		if err != nil {
			return true, nil, err
		}
		now := obj.(*batchv1.Job).DeepCopy()
		if job.UID != now.UID || job.ResourceVersion != now.ResourceVersion {
			return true, nil, apierrors.NewConflict(jobsResource.GroupResource(), job.Name, fmt.Errorf("version %s is not %s", job.ResourceVersion, now.ResourceVersion))
		}
		if action.GetSubresource() == "status" {
			a.checkStatus(now, job.Status)
			now.Status = job.Status
			a.statuses = append(a.statuses, *job.Status.DeepCopy())
		} else {
			now.Spec, now.DeletionTimestamp, now.Labels = job.Spec, job.DeletionTimestamp, job.Labels
			now.Generation++
		}
		now.ResourceVersion = a.nextVersion()
		return true, now, tracker.Update(jobsResource, now, now.Namespace)
	}
	return false, nil, nil
}

// allJobs returns the Jobs as the API has them.
func (a *fakeAPI) allJobs(namespace string) []batchv1.Job {
	obj, err := a.jobs.Tracker().List(jobsResource, batchv1.JobGroupVersionKind, namespace)
	if err != nil {
		return nil
	}
	return obj.(*batchv1.JobList).Items
}

// requests returns how often the API was asked for the verb and the resource.
func requests(c interface{ Actions() []clienttesting.Action }, verb, resource, subresource string) int {
	n := 0
	for _, action := range c.Actions() {
		if action.Matches(verb, resource) && action.GetSubresource() == subresource {
			n++
		}
	}
	return n
}

// writtenStatuses returns the statuses of Jobs written so far.
func (a *fakeAPI) writtenStatuses() []batchv1.JobStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.statuses)
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

var errDown = apierrors.NewInternalError(errors.New("the server is down"))

var errLost = apierrors.NewTimeoutError("the answer got lost", 0)
