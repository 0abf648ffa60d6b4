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

// Package run creates the objects of files on a throw-away server and shows how their Jobs go on, until all have ended.
package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	coreinformers "k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned"
	batchinformers "github.com/jobserver-dev/jobserver/pkg/generated/informers/externalversions"
)

// logGrace is for how long after the last Job's end its Pods' logs are waited for. They end with their containers, all of which are over then.
const logGrace = 10 * time.Second

// errLogsLate ends the reading of logs that have not come to their end long after their Jobs have.
var errLogsLate = fmt.Errorf("not at its end %s after the last Job's", logGrace)

// ErrRejected wraps the server's answer to an object that it doesn't accept.
var ErrRejected = errors.New("rejected")

// ErrNoJob is the answer to files without a Job: there would be nothing to wait for.
var ErrNoJob = errors.New("no Job found")

// Run creates the objects on the server of config, shows the Pods' logs and the progress of the Jobs on out, as bars where terminal is
// set, and returns once all Jobs have ended: nil where each completed, an error where one did not. It returns at once where ctx
// ends. An object that the server rejects is an error that wraps ErrRejected.
func Run(ctx context.Context, config *restclient.Config, objects []Object, out io.Writer, terminal bool) error {
	// The server is ours alone. With client-go's default limit the logs of a large Job would come long after its end.
	config = restclient.CopyConfig(config)
	config.QPS = -1
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := waitReady(ctx, kube); err != nil {
		return err
	}
	creator, err := newCreator(config, kube)
	if err != nil {
		return err
	}
	jobs, err := creator.create(ctx, objects)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRejected, err)
	}
	if len(jobs) == 0 {
		return ErrNoJob
	}
	watcher, err := newWatcher(config, kube, jobs, newDisplay(out, terminal))
	if err != nil {
		return err
	}
	return watcher.watch(ctx, out)
}

func newDisplay(out io.Writer, terminal bool) display {
	if terminal {
		return newBarDisplay(out)
	}
	return newPlainDisplay(out)
}

// watcher watches the Jobs of a run and their Pods.
type watcher struct {
	jobs    batchinformers.SharedInformerFactory
	pods    coreinformers.SharedInformerFactory
	display display
	logs    *logStreamer
	// troubles shows why Pods wait or fail.
	troubles *troubleTeller

	mu     sync.Mutex
	wanted map[types.UID]bool
	states map[types.UID]jobState
	// over is closed once every Job has ended.
	over chan struct{}
}

func newWatcher(config *restclient.Config, kube kubernetes.Interface, jobs []jobKey, display display) (*watcher, error) {
	client, err := versioned.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	w := &watcher{
		jobs:     batchinformers.NewSharedInformerFactory(client, 0),
		pods:     coreinformers.NewSharedInformerFactory(kube, 0),
		display:  display,
		logs:     newLogStreamer(kube, display),
		troubles: newTroubleTeller(display),
		wanted:   map[types.UID]bool{},
		states:   map[types.UID]jobState{},
		over:     make(chan struct{}),
	}
	for _, job := range jobs {
		w.wanted[job.UID] = true
		// A Job that is gone before the watch begins is never seen: this is then what is known of it.
		w.states[job.UID] = jobState{name: job.Name, outcome: running}
	}
	return w, nil
}

// watch returns once every Job has ended and all output is shown, or ctx ends.
func (w *watcher) watch(ctx context.Context, out io.Writer) error {
	watchContext, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if err := w.listen(watchContext); err != nil {
		return err
	}
	w.jobs.StartWithContext(watchContext)
	w.pods.StartWithContext(watchContext)
	w.jobs.WaitForCacheSyncWithContext(watchContext)
	w.missing()

	select {
	case <-w.over:
		w.drain(ctx)
	case <-ctx.Done():
	}
	stop(errLogsLate)
	w.logs.wait()
	w.display.close()
	return errors.Join(printTable(out, w.states, time.Now()), w.result(ctx))
}

func (w *watcher) listen(ctx context.Context) error {
	_, err := w.jobs.Batch().V1().Jobs().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { w.jobChanged(obj.(*batchv1.Job), false) },
		UpdateFunc: func(_, obj any) { w.jobChanged(obj.(*batchv1.Job), false) },
		DeleteFunc: func(obj any) {
			if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = unknown.Obj
			}
			w.jobChanged(obj.(*batchv1.Job), true)
		},
	})
	if err != nil {
		return fmt.Errorf("watch Jobs: %w", err)
	}
	follow := func(obj any) {
		pod := obj.(*corev1.Pod)
		if owner := metav1.GetControllerOfNoCopy(pod); owner != nil && w.isWanted(owner.UID) {
			w.logs.follow(ctx, pod)
			w.troubles.tell(pod)
		}
	}
	_, err = w.pods.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    follow,
		UpdateFunc: func(_, obj any) { follow(obj) },
	})
	if err != nil {
		return fmt.Errorf("watch Pods: %w", err)
	}
	return nil
}

func (w *watcher) isWanted(uid types.UID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wanted[uid]
}

func (w *watcher) jobChanged(job *batchv1.Job, gone bool) {
	if !w.isWanted(job.UID) {
		return
	}
	w.record(job.UID, stateOf(job, gone))
}

// record keeps and shows a state, and notices the end of the last Job. Nothing is shown of a Job after its end: its deletion may follow, by
// its time to live.
func (w *watcher) record(uid types.UID, state jobState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.states[uid].over() {
		return
	}
	w.states[uid] = state
	w.display.update(uid, state)
	for _, state := range w.states {
		if !state.over() {
			return
		}
	}
	close(w.over)
}

// missing notices Jobs that were deleted before the watch began.
func (w *watcher) missing() {
	jobs := w.jobs.Batch().V1().Jobs().Informer().GetStore().List()
	here := map[types.UID]bool{}
	for _, job := range jobs {
		here[job.(*batchv1.Job).UID] = true
	}
	for uid := range w.wanted {
		w.mu.Lock()
		state := w.states[uid]
		w.mu.Unlock()
		if !here[uid] && !state.over() {
			state.outcome, state.message = deleted, "the Job was deleted before it was seen to end"
			w.record(uid, state)
		}
	}
}

// drain waits for the logs of the Pods of ended Jobs, which end by themselves.
func (w *watcher) drain(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		w.logs.wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(logGrace):
	case <-ctx.Done():
	}
}

// result is nil where every Job completed.
func (w *watcher) result(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	unsuccessful := 0
	for _, state := range w.states {
		if state.outcome != complete {
			unsuccessful++
		}
	}
	if unsuccessful > 0 {
		return fmt.Errorf("%d of %d Jobs did not complete", unsuccessful, len(w.states))
	}
	return nil
}
