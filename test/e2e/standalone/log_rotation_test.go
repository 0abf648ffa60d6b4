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

package standalone

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLogRotation: a log goes on in further files, of which a few are kept. kubectl logs reads them as one, and who follows it misses nothing.
func TestLogRotation(t *testing.T) {
	t.Parallel()
	const batches, lines, maxSize, maxFiles = 12, 500, 64 << 10, 3
	s := ownServer(t)
	if _, err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.flags = []string{fmt.Sprintf("--container-log-max-size=%d", maxSize), fmt.Sprintf("--container-log-max-files=%d", maxFiles)}
	s.mustStart(t)
	c, folder := newClient(t, s), t.TempDir()
	script := fmt.Sprintf("b=0; while [ $b -lt %d ]; do until [ -e %s/$b ]; do sleep 0.05; done; i=0; while [ $i -lt %d ]; do echo line $((b*%d+i)); i=$((i+1)); done; b=$((b+1)); done; echo end",
		batches, folder, lines, lines)
	c.apply(t, podManifest("p", script))
	c.waitPhase(t, "p", "Running")
	follow := c.watch(t, "logs", "-f", "p")
	var all strings.Builder
	for batch := range batches { // as fast as the one who follows
		for i := range lines {
			fmt.Fprintf(&all, "line %d\n", batch*lines+i)
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprint(batch)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Minute, func() string {
			if got := len(follow.stdout.String()); got < all.Len() {
				return fmt.Sprintf("the follower has %d of %d bytes", got, all.Len())
			}
			return ""
		})
	}
	all.WriteString("end\n")
	if !follow.endsWithin(time.Minute) || follow.stdout.String() != all.String() {
		t.Errorf("the follower has %d bytes, want %d, and to end with the container", len(follow.stdout.String()), all.Len())
	}
	c.waitPhase(t, "p", "Succeeded")

	files, err := filepath.Glob(filepath.Join(s.dataDir, "node", "pods", "*", "main", "0.log*"))
	if err != nil || len(files) != maxFiles {
		t.Errorf("files of the log: %v, error %v", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Size() > maxSize {
			t.Errorf("%s: %+v, error %v", file, info, err)
		}
	}
	kept := c.run(t, "logs", "p")
	// An entry has some 40 bytes before the line.
	if !strings.HasSuffix(all.String(), kept) || !strings.HasPrefix(kept, "line ") || len(kept) < maxSize/8*(maxFiles-1) || len(kept) >= all.Len() {
		t.Errorf("%d bytes of %d are kept, from %.20q to %q", len(kept), all.Len(), kept, kept[max(0, len(kept)-20):])
	}
	if got := c.run(t, "logs", "p", "--tail=2"); got != fmt.Sprintf("line %d\nend\n", batches*lines-1) {
		t.Errorf("the last two lines are %q", got)
	}
	// More lines than the last file has.
	if got := c.run(t, "logs", "p", "--tail=1500"); strings.Count(got, "\n") != 1500 || !strings.HasSuffix(all.String(), got) {
		t.Errorf("of the last 1500 lines there are %d", strings.Count(got, "\n"))
	}
}
