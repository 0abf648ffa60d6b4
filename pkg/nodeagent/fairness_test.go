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
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestKeepsPlace(t *testing.T) {
	t.Parallel()
	for waited, want := range map[time.Duration]bool{
		0: true, 5*time.Minute - 1: true, 5 * time.Minute: false, 6*time.Minute - 1: false,
		6 * time.Minute: true, 16*time.Minute - 1: true, 16 * time.Minute: false, 17 * time.Minute: true, 37 * time.Minute: false,
	} {
		if got := keepsPlace(waited); got != want {
			t.Errorf("after %s: %t, want %t", waited, got, want)
		}
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	asks := func(cpu, memory string) *waiting {
		list := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1"), corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
		return &waiting{pod: &corev1.Pod{}, demand: list}
	}
	since := func(w *waiting, ago time.Duration) *waiting { w.short = now.Add(-ago); return w }
	tolerant := func(w *waiting) *waiting { w.pod.Spec.NodeSelector = map[string]string{"no": "where"}; return w }
	const (
		fits   = "[]"
		cpu    = "[Insufficient cpu]"
		memory = "[Insufficient memory]"
		kept   = "[node(s) keep what is free for pods that came first]"
		never  = "[node(s) didn't match Pod's node affinity/selector]"
	)
	// The node has 4 CPUs and 8 GiB; 2 CPUs and 1 GiB are used.
	tests := map[string]struct {
		queue []*waiting
		want  []string
	}{
		"as long as it lasts":               {[]*waiting{asks("1", "0"), asks("1", "0"), asks("1", "0")}, []string{fits, fits, cpu}},
		"the first keeps what is free":      {[]*waiting{asks("3", "0"), asks("1", "0")}, []string{cpu, kept}},
		"others beside it":                  {[]*waiting{asks("3", "0"), asks("0", "7Gi")}, []string{cpu, fits}},
		"others beside it only":             {[]*waiting{asks("3", "4Gi"), asks("0", "2Gi"), asks("0", "2Gi"), asks("0", "1Gi")}, []string{cpu, fits, kept, fits}},
		"one that never fits keeps nothing": {[]*waiting{asks("5", "0"), asks("1", "0")}, []string{cpu, fits}},
		"nor one that may not come here":    {[]*waiting{tolerant(asks("3", "0")), asks("1", "0")}, []string{never, fits}},
		"others pass now and then":          {[]*waiting{since(asks("3", "0"), holdFirst), asks("1", "0")}, []string{cpu, fits}},
		"then the next one keeps":           {[]*waiting{since(asks("3", "0"), holdFirst), asks("0", "8Gi"), asks("1", "0"), asks("0", "1Gi")}, []string{cpu, memory, fits, kept}},
		"and the first again":               {[]*waiting{since(asks("3", "0"), holdFirst+passFor), asks("1", "0")}, []string{cpu, kept}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("10"),
			}}}
			used := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi"), corev1.ResourcePods: resource.MustParse("1")}
			var got []string
			for _, verdict := range schedule(test.queue, node, used, nil, now) {
				got = append(got, fmt.Sprint(verdict.reasons))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("verdicts differ (-want +got):\n%s", diff)
			}
		})
	}
}

// However long each of the others runs, a big Pod gets its turn; however long it waits, the others do too.
func TestNobodyStarves(t *testing.T) {
	t.Parallel()
	for _, each := range []time.Duration{time.Minute, 20 * time.Minute, 3 * time.Hour} {
		var runs []time.Duration // when the small ones that run end
		at, placed := time.Duration(0), 0
		for ; at < 100*time.Hour; at += 15 * time.Second {
			var still []time.Duration
			for _, end := range runs {
				if end > at {
					still = append(still, end)
				}
			}
			runs = still
			if at == 0 || (!keepsPlace(at) && len(runs) < 4) {
				runs = append(runs, at+each)
				placed++
			}
			if at > 0 && len(runs) == 0 {
				break
			}
		}
		if len(runs) > 0 {
			t.Errorf("others of %s: the big Pod still waits after 100 hours, %d passed it", each, placed)
		}
	}
}
