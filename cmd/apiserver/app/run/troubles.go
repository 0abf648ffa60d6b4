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

package run

import (
	"fmt"
	"io"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// normalWaiting are the reasons of a container that waits as every container does for a moment.
var normalWaiting = []string{"", "ContainerCreating", "PodInitializing"}

// troubles are the reasons that a Pod's status gives for why it waits or has failed, but for the exit codes of its own commands: their
// output says more.
func troubles(pod *corev1.Pod) []string {
	var found []string
	if pod.Status.Phase == corev1.PodFailed && pod.Status.Reason != "" {
		found = append(found, reasoned("failed", pod.Status.Reason, pod.Status.Message))
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			found = append(found, reasoned("waiting", condition.Reason, condition.Message))
		}
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if waiting := status.State.Waiting; waiting != nil && !slices.Contains(normalWaiting, waiting.Reason) {
			found = append(found, reasoned("container "+status.Name+" is waiting", waiting.Reason, waiting.Message))
		}
		if ended := status.State.Terminated; ended != nil && ended.ExitCode != 0 && ended.Message != "" {
			found = append(found, reasoned("container "+status.Name+" failed", ended.Reason, ended.Message))
		}
	}
	return found
}

func reasoned(what, reason, message string) string {
	if message == "" {
		return what + ": " + reason
	}
	return what + ": " + reason + ": " + message
}

// troubleTeller shows each trouble of each Pod once.
type troubleTeller struct {
	out io.Writer

	mu   sync.Mutex
	told map[types.UID]map[string]bool
}

func newTroubleTeller(out io.Writer) *troubleTeller {
	return &troubleTeller{out: out, told: map[types.UID]map[string]bool{}}
}

func (t *troubleTeller) tell(pod *corev1.Pod) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, trouble := range troubles(pod) {
		if t.told[pod.UID][trouble] {
			continue
		}
		if t.told[pod.UID] == nil {
			t.told[pod.UID] = map[string]bool{}
		}
		t.told[pod.UID][trouble] = true
		// Nobody reads a closed output any more; the exit code still says how the Jobs ended.
		_, _ = fmt.Fprintf(t.out, "[%s] %s\n", pod.Name, trouble)
	}
}
