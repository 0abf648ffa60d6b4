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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTolerationEnd(t *testing.T) {
	t.Parallel()
	red, blue := taintKey{"red", "1", corev1.TaintEffectNoExecute}, taintKey{"blue", "", corev1.TaintEffectNoExecute}
	tolerate := func(key string, seconds ...int64) corev1.Toleration {
		toleration := corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}
		if len(seconds) > 0 {
			toleration.TolerationSeconds = &seconds[0]
		}
		return toleration
	}
	tests := map[string]struct {
		tolerations []corev1.Toleration
		want        string // how long after the taints; empty: for ever
	}{
		"none":                       {nil, "0s"},
		"one of two":                 {[]corev1.Toleration{tolerate("red")}, "1m0s"},
		"both":                       {[]corev1.Toleration{tolerate("red"), tolerate("blue")}, ""},
		"everything":                 {[]corev1.Toleration{{Operator: corev1.TolerationOpExists}}, ""},
		"for a time":                 {[]corev1.Toleration{tolerate("red", 90), tolerate("blue")}, "1m30s"},
		"the earlier end":            {[]corev1.Toleration{tolerate("red", 90), tolerate("blue", 10)}, "1m10s"},
		"the shorter of two":         {[]corev1.Toleration{tolerate("red", 90), tolerate("red", 30), tolerate("red"), tolerate("blue")}, "30s"},
		"a negative time":            {[]corev1.Toleration{tolerate("red", -5), tolerate("blue")}, "0s"},
		"of NoSchedule, which isn't": {[]corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}, "0s"},
		"another value":              {[]corev1.Toleration{{Key: "red", Operator: corev1.TolerationOpEqual, Value: "2"}, tolerate("blue")}, "0s"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := &corev1.Pod{Spec: corev1.PodSpec{Tolerations: test.tolerations}}
			end, limited := tolerationEnd(pod, map[taintKey]time.Time{red: now, blue: now.Add(time.Minute)})
			got := ""
			if limited {
				got = end.Sub(now).String()
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestEvictionsRememberSinceWhen(t *testing.T) {
	t.Parallel()
	var e evictions
	said := metav1.NewTime(now.Add(-time.Hour))
	taints := []corev1.Taint{{Key: "a", Effect: "NoExecute"}, {Key: "b", Effect: "NoExecute", TimeAdded: &said}, {Key: "c", Effect: "NoSchedule"}}
	e.observe(taints, now)
	got := e.observe(taints, now.Add(time.Minute))
	want := map[taintKey]time.Time{{"a", "", "NoExecute"}: now, {"b", "", "NoExecute"}: said.Time}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(taintKey{})); diff != "" {
		t.Errorf("taints differ (-want +got):\n%s", diff)
	}
	e.observe(nil, now.Add(2*time.Minute))
	if got := e.observe(taints[:1], now.Add(3*time.Minute))[taintKey{"a", "", "NoExecute"}]; !got.Equal(now.Add(3 * time.Minute)) {
		t.Errorf("a taint that was away counts from %s", got)
	}
}

func TestTaintEvicts(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.create(t, shellPod("plain", "sleep 100"))
	stays := shellPod("stays", "sleep 100")
	stays.Spec.Tolerations = []corev1.Toleration{{Key: "repair", Operator: corev1.TolerationOpExists}}
	c.create(t, stays)
	soon := shellPod("soon", "sleep 100")
	soon.Spec.Tolerations = []corev1.Toleration{{Key: "repair", Operator: corev1.TolerationOpExists, Effect: "NoExecute", TolerationSeconds: new(int64(1))}}
	soon.Finalizers = []string{"example.com/keep"}
	c.create(t, soon)
	plain := c.wait(t, "plain", "running", isRunning)
	c.wait(t, "stays", "running", isRunning)
	c.wait(t, "soon", "running", isRunning)
	node, err := c.CoreV1().Nodes().Get(t.Context(), "node", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node.Spec.Taints = []corev1.Taint{{Key: "repair", Effect: corev1.TaintEffectNoExecute}}
	if _, err := c.CoreV1().Nodes().Update(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.waitGone(t, plain)
	got := c.waitPhase(t, "soon", corev1.PodFailed)
	if condition := findCondition(got.Status.Conditions, corev1.DisruptionTarget); condition == nil || condition.Reason != "DeletionByTaintManager" {
		t.Errorf("conditions of the evicted Pod: %+v", got.Status.Conditions)
	}
	c.waitEvents(t, "soon", "TaintManagerEviction")
	if pod := c.get(t, "stays"); !isRunning(pod) || pod.DeletionTimestamp != nil {
		t.Errorf("the Pod that tolerates the taint: %+v", pod.Status)
	}
}
