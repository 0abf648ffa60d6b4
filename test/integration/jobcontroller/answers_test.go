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

package jobcontroller

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// TestAnswerToTheRemovalOfTheLastFinalizer: a patch that takes the last finalizer off a Pod that is being deleted is answered by the Pod with the
// version from before, by which a cache can't be asked whether it has seen the patch. The Job controller knows such an answer by the fields that are
// looked at here; the fake API of its tests gives the same.
func TestAnswerToTheRemovalOfTheLastFinalizer(t *testing.T) {
	t.Parallel()
	const finalizer = "example.com/hold"
	pods := server.Kube.CoreV1().Pods(metav1.NamespaceDefault)
	pod, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "held-", Finalizers: []string{finalizer}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "busybox"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := pods.Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	held, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	patch := []byte(`{"metadata":{"uid":"` + string(pod.UID) + `","$deleteFromPrimitiveList/finalizers":["` + finalizer + `"]}}`)
	answer, err := pods.Patch(t.Context(), pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if answer.ResourceVersion != held.ResourceVersion || answer.DeletionTimestamp == nil || ptr.Deref(answer.DeletionGracePeriodSeconds, -1) != 0 ||
		len(answer.Finalizers) > 0 {
		t.Errorf("the answer is %+v, the Pod was %+v", answer.ObjectMeta, held.ObjectMeta)
	}
	if _, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("get the Pod: %v, want that it is gone", err)
	}
}
