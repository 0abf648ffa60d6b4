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

package runtime

import (
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestContainersIgnoreNoSignals runs as a server that was started with nohup or in the background of a script does: such a start
// makes it ignore signals, which a container must not inherit.
func TestContainersIgnoreNoSignals(t *testing.T) {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT)
	t.Cleanup(func() { signal.Reset(syscall.SIGHUP, syscall.SIGINT) })
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, "grep SigIgn /proc/self/status")
	f.waitEnded(t, id)
	log := f.log(t, id)
	_, mask, found := strings.Cut(strings.TrimSpace(log), "SigIgn:\t")
	ignored, err := strconv.ParseUint(mask, 16, 64)
	if !found || err != nil {
		t.Fatalf("no mask of ignored signals in %q: %v", log, err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if ignored&(1<<(signal-1)) != 0 {
			t.Errorf("a container ignores %s: mask %x", signal, ignored)
		}
	}
}
