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
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// TestTrimPod drops what costs memory. That the rest suffices is what the random histories check at each sync.
func TestTrimPod(t *testing.T) {
	t.Parallel()
	full := makePod("p").index(3).failures(1).annotation("big", "text").exited(4, 5).deleted(3).disrupted().node("n").obj()
	full.ResourceVersion = "7"
	full.Labels = map[string]string{"l": "1"}
	full.OwnerReferences = []metav1.OwnerReference{{UID: "job-uid"}}
	want := full.DeepCopy()
	delete(want.Annotations, "big")
	want.Spec.InitContainers = []corev1.Container{{Name: "side", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}}

	full.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "m"}}
	full.Spec.Containers = []corev1.Container{{Name: "main"}}
	full.Spec.InitContainers = []corev1.Container{{Name: "init"}, {Name: "side", RestartPolicy: new(corev1.ContainerRestartPolicyAlways), Image: "i"}}
	full.Status.Conditions[0].Message = "long"
	full.Status.ContainerStatuses[0].State.Terminated.Message = "long"
	before := full.DeepCopy()
	if diff := cmp.Diff(want, TrimPod(full)); diff != "" {
		t.Errorf("trimmed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, full); diff != "" {
		t.Errorf("the Pod changed:\n%s", diff)
	}
	if got := TrimPod(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{batch.JobNameLabel: "x"}}}); got.Annotations != nil {
		t.Errorf("annotations %v", got.Annotations)
	}
}
