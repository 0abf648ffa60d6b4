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

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
)

func TestHeadroomConditions(t *testing.T) {
	t.Parallel()
	const mib, gib = 1 << 20, 1 << 30
	plenty := headroom{memory: gib, disk: 50 * gib, diskSize: 100 * gib, inodes: 1000, inodesTotal: 1000, pids: 30000}
	tests := map[string]struct {
		change func(*headroom)
		want   []string // the conditions that are True, by their reasons
	}{
		"plenty":                      {func(*headroom) {}, nil},
		"memory":                      {func(h *headroom) { h.memory = 100*mib - 1 }, []string{"KubeletHasInsufficientMemory"}},
		"just enough":                 {func(h *headroom) { h.memory, h.disk, h.inodes, h.pids = 100*mib, gib, 50, 256 }, nil},
		"disk":                        {func(h *headroom) { h.disk = gib - 1 }, []string{"KubeletHasDiskPressure"}},
		"a tenth of a small disk":     {func(h *headroom) { h.disk, h.diskSize = 100*mib, gib }, []string{"KubeletHasDiskPressure"}},
		"more than that":              {func(h *headroom) { h.disk, h.diskSize = 103*mib, gib }, nil},
		"inodes":                      {func(h *headroom) { h.inodes = 49 }, []string{"KubeletHasDiskPressure"}},
		"processes":                   {func(h *headroom) { h.pids = 255 }, []string{"KubeletHasInsufficientPID"}},
		"what is not known is plenty": {func(h *headroom) { *h = headroom{memory: -1, disk: -1, inodes: -1, pids: -1} }, nil},
		"everything": {func(h *headroom) { *h = headroom{diskSize: gib} }, []string{
			"KubeletHasInsufficientMemory", "KubeletHasDiskPressure", "KubeletHasInsufficientPID",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			free := plenty
			test.change(&free)
			var got []string
			for _, condition := range free.conditions() {
				if condition.Status == corev1.ConditionTrue {
					got = append(got, condition.Reason)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("conditions differ (-want +got):\n%s", diff)
			}
		})
	}
}

// Who looks at the Node learns when it became short of something, and when it no longer was.
func TestShortagesAreSaid(t *testing.T) {
	t.Parallel()
	recorder := record.NewFakeRecorder(10)
	a := &Agent{config: Config{NodeName: "node"}, recorder: recorder}
	plenty := headroom{memory: 1 << 40, disk: 1 << 40, diskSize: 1 << 40, inodes: -1, pids: 1 << 20}
	full := plenty
	full.disk = 0
	a.sayShortages(klog.Background(), nil, plenty.conditions())
	a.sayShortages(klog.Background(), plenty.conditions(), full.conditions())
	a.sayShortages(klog.Background(), full.conditions(), full.conditions())
	a.sayShortages(klog.Background(), full.conditions(), plenty.conditions())
	close(recorder.Events)
	var said []string
	for event := range recorder.Events {
		said = append(said, event)
	}
	want := []string{"Normal NodeHasDiskPressure Node node status is now: NodeHasDiskPressure", "Normal NodeHasNoDiskPressure Node node status is now: NodeHasNoDiskPressure"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("events differ (-want +got):\n%s", diff)
	}
}

func TestReadHeadroom(t *testing.T) {
	t.Parallel()
	free := readHeadroom(t.TempDir())
	if free.memory <= 0 || free.disk <= 0 || free.diskSize < free.disk || free.pids <= 0 {
		t.Errorf("got %+v of this machine", free)
	}
}
