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

package nodeagent

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/jobserver-dev/jobserver/pkg/freshlist"
)

// podResync is how often every Pod is looked at again without a reason. A Pod that nobody looks at would hold up its Job for ever; looking at
// one that is well costs next to nothing.
const podResync = time.Minute

// watchAPI sets the informers up.
func (a *Agent) watchAPI() error {
	podFactory := informers.NewSharedInformerFactoryWithOptions(a.config.Client, podResync, informers.WithTransform(dropManagedFields),
		informers.WithTweakListOptions(a.selectPods))
	nodeFactory := informers.NewSharedInformerFactoryWithOptions(a.config.Client, 0, informers.WithTweakListOptions(func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, a.config.NodeName).String()
	}))
	a.pods = podFactory.Core().V1().Pods().Lister()
	a.nodes = nodeFactory.Core().V1().Nodes().Lister()
	podHandler, err := podFactory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { a.observePod(object) },
		UpdateFunc: a.updatePod,
		DeleteFunc: a.forgetPod,
	})
	if err != nil {
		return fmt.Errorf("watch Pods: %w", err)
	}
	trigger := func(any) {
		a.scheduler.trigger()
		a.lookAtTaints()
	}
	nodeHandler, err := nodeFactory.Core().V1().Nodes().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: trigger, UpdateFunc: func(_, object any) { trigger(object) }, DeleteFunc: trigger,
	})
	if err != nil {
		return fmt.Errorf("watch Nodes: %w", err)
	}
	a.start = func(ctx context.Context) error {
		podFactory.StartWithContext(ctx)
		nodeFactory.StartWithContext(ctx)
		if !cache.WaitForCacheSync(ctx.Done(), podHandler.HasSynced, nodeHandler.HasSynced) {
			return context.Cause(ctx)
		}
		return nil
	}
	return nil
}

// selectPods limits what is watched to the Pods of this node, unless it takes others too. A node of a cluster may see no more.
// What it begins with is as new as what it did itself before a restart: a Pod that is gone by then must not run once more.
func (a *Agent) selectPods(options *metav1.ListOptions) {
	freshlist.Require(options)
	if !a.config.Schedule {
		options.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", a.config.NodeName).String()
	}
}

// dropManagedFields keeps out of memory what nobody here reads.
func dropManagedFields(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}

// findGonePods has the Pods cleaned up that have files here and no object in the API any more. The informer must have synced: by then it has
// shown every Pod of this node. Pods are told apart by UID alone, since a crash may have left a folder whose record, with the name, was not written.
func (a *Agent) findGonePods() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, found := range a.runtime.Pods() {
		if a.states[found.UID] != nil {
			continue
		}
		state := newPodState(found.Namespace, found.Name)
		state.gone = true
		a.states[found.UID] = state
		a.queue.Add(found.UID)
	}
}

// observePod takes in a Pod as the informer shows it.
func (a *Agent) observePod(object any) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	a.scheduler.observe(pod)
	if pod.Spec.NodeName != a.config.NodeName && !isAbandoned(pod) {
		return
	}
	a.mu.Lock()
	if a.states[pod.UID] == nil {
		a.states[pod.UID] = newPodState(pod.Namespace, pod.Name)
		a.lookAtTaints()
	}
	a.mu.Unlock()
	a.queue.Add(pod.UID)
}

// updatePod takes in a change. After a gap in the watch, a Pod that was deleted and another one made in its name look like one.
func (a *Agent) updatePod(old, object any) {
	before, beforeOK := old.(*corev1.Pod)
	after, afterOK := object.(*corev1.Pod)
	if beforeOK && afterOK && before.UID != after.UID {
		a.forgetPod(before)
	}
	a.observePod(object)
}

// forgetPod takes note that a Pod's object is gone: deleted by force, or after its end.
func (a *Agent) forgetPod(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	a.admissions.release(pod.UID)
	a.scheduler.forget(pod.UID)
	a.mu.Lock()
	if a.states[pod.UID] == nil {
		if pod.Spec.NodeName != a.config.NodeName {
			a.mu.Unlock()
			return
		}
		a.states[pod.UID] = newPodState(pod.Namespace, pod.Name)
	}
	a.states[pod.UID].gone = true
	a.mu.Unlock()
	a.queue.Add(pod.UID)
}
