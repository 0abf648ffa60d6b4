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
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clienttesting "k8s.io/client-go/testing"
)

// handlePod names and versions Pods, and deletes in two steps those that run or have finalizers.
func (a *fakeAPI) handlePod(action clienttesting.Action) (bool, runtime.Object, error) {
	tracker := a.pods.Tracker()
	switch action := action.(type) {
	case clienttesting.CreateActionImpl:
		pod := action.GetObject().DeepCopyObject().(*corev1.Pod)
		pod.Namespace = action.GetNamespace()
		pod.ResourceVersion, pod.UID = a.nextVersion(), uuid.NewUUID()
		pod.CreationTimestamp = metav1.NewTime(a.clock.Now())
		if pod.Status.Phase == "" {
			pod.Status.Phase = corev1.PodPending
		}
		if err := tracker.Create(podsResource, pod, pod.Namespace); err != nil {
			return true, nil, err
		}
		a.checkParallelism(pod)
		return true, pod, nil
	case clienttesting.UpdateActionImpl:
		// A kubelet's: it changes the status, and where the Pod runs.
		pod := action.GetObject().(*corev1.Pod)
		obj, err := tracker.Get(podsResource, pod.Namespace, pod.Name)
		if err != nil {
			return true, nil, err
		}
		now := obj.(*corev1.Pod).DeepCopy()
		now.Status, now.Spec.NodeName = *pod.Status.DeepCopy(), pod.Spec.NodeName
		return true, now, a.storePod(now)
	case clienttesting.PatchActionImpl:
		pod, err := a.patchedPod(action)
		if err != nil {
			return true, nil, err
		}
		a.checkRecorded(pod)
		return true, pod, a.storePod(pod)
	case clienttesting.DeleteActionImpl:
		obj, err := tracker.Get(podsResource, action.GetNamespace(), action.GetName())
		if err != nil {
			return true, nil, err
		}
		pod := obj.(*corev1.Pod).DeepCopy()
		if want := action.DeleteOptions.Preconditions; want != nil && want.UID != nil && *want.UID != pod.UID {
			return true, nil, apierrors.NewConflict(podsResource.GroupResource(), pod.Name, fmt.Errorf("the UID is %s", pod.UID))
		}
		return true, nil, a.deletePod(pod)
	}
	return false, nil, nil
}

// deletePod begins the deletion of the Pod.
func (a *fakeAPI) deletePod(pod *corev1.Pod) error {
	if pod.DeletionTimestamp == nil {
		pod.DeletionTimestamp = new(metav1.NewTime(a.clock.Now()))
	}
	return a.storePod(pod)
}

// deleteAsUser deletes the Pod as somebody else than the controller, who meets no faults. It returns false where the Pod is gone.
func (a *fakeAPI) deleteAsUser(namespace, name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	pod := a.podNamed(namespace, name)
	return pod != nil && a.deletePod(pod) == nil
}

// changeTracked changes the Pod unless it is being deleted or has been given up. It returns false where it is.
func (a *fakeAPI) changeTracked(pod *corev1.Pod, change func(*corev1.Pod)) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.podNamed(pod.Namespace, pod.Name)
	if now == nil || now.DeletionTimestamp != nil || len(now.Finalizers) == 0 {
		return false
	}
	change(now)
	return a.storePod(now) == nil
}

// storePod updates the Pod, or removes it where it is being deleted and nothing holds it any more. One that is removed keeps the version that it
// had, as in the answers of a real API server (TestAnswerToTheRemovalOfTheLastFinalizer of test/integration/jobcontroller).
func (a *fakeAPI) storePod(pod *corev1.Pod) error {
	version := a.nextVersion()
	running := pod.Spec.NodeName != "" && !ended(pod)
	switch {
	case pod.DeletionTimestamp == nil:
	case running:
		pod.DeletionGracePeriodSeconds = new(int64(30))
	default:
		pod.DeletionGracePeriodSeconds = new(int64(0))
		if len(pod.Finalizers) == 0 {
			a.removed = append(a.removed, pod.DeepCopy())
			return a.pods.Tracker().Delete(podsResource, pod.Namespace, pod.Name)
		}
	}
	pod.ResourceVersion = version
	return a.pods.Tracker().Update(podsResource, pod, pod.Namespace)
}

func (a *fakeAPI) patchedPod(action clienttesting.PatchActionImpl) (*corev1.Pod, error) {
	obj, err := a.pods.Tracker().Get(podsResource, action.GetNamespace(), action.GetName())
	if err != nil {
		return nil, err
	}
	before := obj.(*corev1.Pod)
	encoded, err := json.Marshal(before)
	if err != nil {
		return nil, err
	}
	patched, err := strategicpatch.StrategicMergePatch(encoded, action.GetPatch(), corev1.Pod{})
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	after := &corev1.Pod{}
	if err := json.Unmarshal(patched, after); err != nil {
		return nil, err
	}
	if after.ResourceVersion != before.ResourceVersion {
		return nil, apierrors.NewConflict(podsResource.GroupResource(), before.Name, fmt.Errorf("version %s is not %s", after.ResourceVersion, before.ResourceVersion))
	}
	if after.UID != before.UID {
		return nil, apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Pod").GroupKind(), before.Name,
			field.ErrorList{field.Invalid(field.NewPath("metadata", "uid"), after.UID, "field is immutable")})
	}
	return after, nil
}

// podNamed returns the Pod as the API has it, nil where it has none.
func (a *fakeAPI) podNamed(namespace, name string) *corev1.Pod {
	obj, err := a.pods.Tracker().Get(podsResource, namespace, name)
	if err != nil {
		return nil
	}
	return obj.(*corev1.Pod).DeepCopy()
}

// allPods returns the Pods as the API has them, by age and name.
func (a *fakeAPI) allPods(namespace string) []*corev1.Pod {
	obj, err := a.pods.Tracker().List(podsResource, corev1.SchemeGroupVersion.WithKind("Pod"), namespace)
	if err != nil {
		return nil
	}
	var pods []*corev1.Pod
	for _, pod := range obj.(*corev1.PodList).Items {
		pods = append(pods, pod.DeepCopy())
	}
	slices.SortFunc(pods, func(x, y *corev1.Pod) int {
		if order := x.CreationTimestamp.Compare(y.CreationTimestamp.Time); order != 0 {
			return order
		}
		return slices.Compare([]byte(x.Name), []byte(y.Name))
	})
	return pods
}
