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
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// Somebody adds a condition after the agent has read the Pod: the server refuses the whole Pod, and both writes last.
func TestStatusWrittenByOthersMeanwhile(t *testing.T) {
	t.Parallel()
	read := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "pod", UID: "uid", ResourceVersion: "1"}}
	present := read.DeepCopy()
	present.ResourceVersion = "2"
	present.Labels = map[string]string{"theirs": "label"}
	present.Status.Conditions = []corev1.PodCondition{{Type: "Theirs", Status: corev1.ConditionTrue}}
	kubeClient := fake.NewClientset(present)
	kubeClient.PrependReactor("update", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if sent := action.(clienttesting.UpdateAction).GetObject().(*corev1.Pod); sent.ResourceVersion != "1" || sent.UID != "uid" || action.GetSubresource() != "status" {
			t.Errorf("sent version %q of Pod %q to subresource %q", sent.ResourceVersion, sent.UID, action.GetSubresource())
		}
		return true, nil, apierrors.NewConflict(corev1.Resource("pods"), "pod", errors.New("the object has been modified"))
	})
	status := corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	written, err := putStatus(t.Context(), kubeClient, read, status)
	if err != nil {
		t.Fatal(err)
	}
	got := map[corev1.PodConditionType]corev1.ConditionStatus{}
	for _, condition := range written.Status.Conditions {
		got[condition.Type] = condition.Status
	}
	if diff := cmp.Diff(map[corev1.PodConditionType]corev1.ConditionStatus{"Theirs": corev1.ConditionTrue, corev1.PodReady: corev1.ConditionTrue}, got); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if written.Status.Phase != corev1.PodRunning || written.Labels["theirs"] != "label" {
		t.Errorf("phase %q, labels %v", written.Status.Phase, written.Labels)
	}
}
