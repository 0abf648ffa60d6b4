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
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/metrics"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
)

const (
	// maxParallelRequests bounds the requests that one sync has under way, so that a huge Job leaves room for others.
	maxParallelRequests = 64

	// maxReportedErrors is how many of the errors of one step are returned; the others say the same.
	maxReportedErrors = 3
)

// executor carries out the plan of one sync.
type executor struct {
	*Controller
	job   *batchv1.Job
	state *jobState
	in    plan.Input
}

// execute carries out the plan after its Record is written, and returns what became of it. The error joins what failed; the
// outcome is complete nevertheless.
func (e executor) execute(ctx context.Context, p plan.Plan) (plan.Outcome, error) {
	outcome := plan.Outcome{Recorded: true, Released: sets.New[types.UID](), Deleted: sets.New[types.UID]()}
	releaseErr := e.releaseAll(ctx, p.Release, outcome)
	deleteErr := e.deleteAll(ctx, p.Delete, outcome)
	created, failed, createErr := e.createAll(ctx, p.Create)
	outcome.Created = created
	countCreations(p.Metrics.CreationReason, created, failed)
	return outcome, errors.Join(releaseErr, deleteErr, createErr)
}

// releaseAll takes the tracking finalizers off the Pods.
func (e executor) releaseAll(ctx context.Context, pods []*corev1.Pod, outcome plan.Outcome) error {
	after := make([]*corev1.Pod, len(pods))
	errs := inParallel(len(pods), func(i int) (err error) {
		after[i], err = e.removeFinalizers(ctx, pods[i])
		return err
	})
	for i, pod := range pods {
		if errs[i] == nil {
			e.noteReleased(pod, after[i], outcome)
		}
	}
	return firstErrors(errs)
}

func (e executor) noteReleased(pod, after *corev1.Pod, outcome plan.Outcome) {
	if e.in.Identity.Tracks(pod) {
		e.state.released.add(pod, after)
	}
	outcome.Released.Insert(pod.UID)
}

// deletion is what became of a plan.Deletion.
type deletion struct {
	released bool
	after    *corev1.Pod
	deleted  bool
}

// deleteAll deletes the Pods, and takes the tracking finalizer off before or after as planned (rules B60 and B61).
func (e executor) deleteAll(ctx context.Context, deletions []plan.Deletion, outcome plan.Outcome) error {
	done := make([]deletion, len(deletions))
	errs := inParallel(len(deletions), func(i int) error {
		return e.deleteOne(ctx, deletions[i], &done[i])
	})
	for i, d := range deletions {
		if done[i].released {
			e.noteReleased(d.Pod, done[i].after, outcome)
		}
		if done[i].deleted {
			e.state.expected.expectDeleted(d.Pod)
			outcome.Deleted.Insert(d.Pod.UID)
		}
	}
	return firstErrors(errs)
}

func (e executor) deleteOne(ctx context.Context, d plan.Deletion, done *deletion) (err error) {
	if d.Finalizer == plan.ReleaseFirst {
		if done.after, done.released, err = e.giveUp(ctx, d.Pod); err != nil || !done.released {
			return err // or else its end is about to be seen, and counted
		}
	}
	existed, err := e.deletePod(ctx, d.Pod)
	if err != nil {
		e.events.podDeleteFailed(e.job, err)
		return err
	}
	done.deleted = true
	if existed {
		e.events.podDeleted(e.job, d.Pod)
		klog.FromContext(ctx).V(2).Info("Deleted Pod", "pod", klog.KObj(d.Pod))
	}
	if d.Finalizer == plan.ReleaseAfter {
		if done.after, err = e.removeFinalizers(ctx, d.Pod); err != nil {
			return err
		}
		done.released = true
	}
	return nil
}

// createAll creates the Pods in batches of 1, 2, 4 and so on, and stops after a batch in which one failed: what makes one
// creation fail, a quota say, makes the others fail too (slow start, rule B51). It returns how many were created and how many
// failed; those left out are neither.
func (e executor) createAll(ctx context.Context, pods []*corev1.Pod) (created, failed int, err error) {
	for size := 1; len(pods) > 0 && err == nil; size *= 2 {
		batch := pods[:min(size, len(pods))]
		pods = pods[len(batch):]
		var n int
		n, err = e.createBatch(ctx, batch)
		created += n
		failed += len(batch) - n
	}
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return created, failed, nil // there will be no Pods, and soon no Job (rule B52)
	}
	return created, failed, err
}

// createBatch creates the Pods at the same time.
func (e executor) createBatch(ctx context.Context, pods []*corev1.Pod) (int, error) {
	now := e.clock.Now()
	names := make([]string, len(pods))
	for i, pod := range pods {
		names[i] = e.state.names.next(pod.GenerateName, now)
	}
	created := make([]*corev1.Pod, len(pods))
	errs := inParallel(len(pods), func(i int) (err error) {
		created[i], err = e.createOne(ctx, pods[i], &names[i])
		return err
	})
	count := 0
	for i, pod := range pods {
		if errs[i] != nil {
			e.state.names.doubt(pod.GenerateName, names[i], e.clock.Now())
			continue
		}
		count++
		e.state.expected.expectCreated(created[i], e.clock.Now())
	}
	return count, firstErrors(errs)
}

// createOne creates the Pod under the name, and under others where that is taken; name is the last one tried.
func (e executor) createOne(ctx context.Context, pod *corev1.Pod, name *string) (*corev1.Pod, error) {
	created, err := e.createNamed(ctx, pod, *name)
	for attempt := 1; apierrors.IsAlreadyExists(err) && attempt < maxNameAttempts; attempt++ {
		*name = newPodName(pod.GenerateName)
		created, err = e.createNamed(ctx, pod, *name)
	}
	if err != nil {
		if !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) && ctx.Err() == nil {
			e.events.podCreateFailed(e.job, err)
		}
		return nil, fmt.Errorf("creating a Pod for Job %s/%s: %w", e.job.Namespace, e.job.Name, err)
	}
	e.events.podCreated(e.job, created)
	klog.FromContext(ctx).V(2).Info("Created Pod", "pod", klog.KObj(created))
	return created, nil
}

// createNamed creates the Pod under the name. The error is AlreadyExists where another Pod has it.
func (e executor) createNamed(ctx context.Context, pod *corev1.Pod, name string) (*corev1.Pod, error) {
	pod = pod.DeepCopy()
	pod.Name = name
	created, err := e.config.PodClient.CoreV1().Pods(e.job.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return created, err
	}
	before, lookupErr := e.createdBefore(ctx, name)
	if lookupErr != nil {
		return nil, lookupErr
	}
	if before == nil {
		return nil, err
	}
	return before, nil
}

// createdBefore returns the Pod of the name if an earlier request of ours created it without our learning of it: it is the
// Job's, and not one of those that the plan knew. nil where another Pod has the name.
func (e executor) createdBefore(ctx context.Context, name string) (*corev1.Pod, error) {
	if e.knows(name) {
		return nil, nil
	}
	pod, err := e.config.PodClient.CoreV1().Pods(e.job.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("looking up the Pod that has the name: %w", err)
	}
	if ref := e.config.Identity.controllerRef(pod); ref == nil || ref.UID != e.job.UID {
		return nil, nil
	}
	return pod, nil
}

// knows tells whether the Job has a Pod of the name, as far as the plan knew.
func (e executor) knows(name string) bool {
	return slices.ContainsFunc(e.in.Pods, func(known *corev1.Pod) bool { return known.Name == name })
}

// countCreations adds creations to the metric.
func countCreations(reason string, created, failed int) {
	if created > 0 {
		metrics.PodsCreationTotal.WithLabelValues(reason, metrics.Succeeded).Add(float64(created))
	}
	if failed > 0 {
		metrics.PodsCreationTotal.WithLabelValues(reason, metrics.Failed).Add(float64(failed))
	}
}

// inParallel calls do for 0 to n-1, at most maxParallelRequests at a time, and returns each one's error.
func inParallel(n int, do func(i int) error) []error {
	errs := make([]error, n)
	if n == 1 {
		errs[0] = do(0)
		return errs
	}
	var running sync.WaitGroup
	slots := make(chan struct{}, maxParallelRequests)
	for i := range n {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(i)
		})
	}
	running.Wait()
	return errs
}

// firstErrors joins the first of the errors and says how many more there are; nil where there is none.
func firstErrors(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if more := len(errs) - maxReportedErrors; more > 0 {
		errs = append(errs[:maxReportedErrors:maxReportedErrors], fmt.Errorf("and %d more errors", more))
	}
	return errors.Join(errs...)
}
