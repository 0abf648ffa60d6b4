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

package aggregated

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// diary is a file in which processes of Pods write what they did: the machine's own account, beside that of the API.
type diary struct {
	path string
}

func newDiary(t *testing.T) diary {
	t.Helper()
	return diary{path: filepath.Join(t.TempDir(), "diary")}
}

// command is a shell command that writes down its Job and its index when it starts and when it ends, seconds later.
func (d diary) command(job, seconds string) string {
	return fmt.Sprintf("echo start %[2]s $JOB_COMPLETION_INDEX >>%[1]s; sleep %[3]s; echo end %[2]s $JOB_COMPLETION_INDEX >>%[1]s", d.path, job, seconds)
}

// lines are what was written so far.
func (d diary) lines(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile(d.path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(content)), "\n")
}

// check compares what the processes wrote with what they should have: each index of each Job started once and ended once.
func (d diary) check(t *testing.T, jobs []string, indexes int) {
	t.Helper()
	var want []string
	for _, job := range jobs {
		for index := range indexes {
			want = append(want, fmt.Sprintf("start %s %d", job, index), fmt.Sprintf("end %s %d", job, index))
		}
	}
	got := d.lines(t)
	slices.Sort(got)
	slices.Sort(want)
	if slices.Equal(got, want) {
		return
	}
	count := map[string]int{}
	for _, line := range want {
		count[line]--
	}
	for _, line := range got {
		count[line]++
	}
	for line, n := range count {
		if n != 0 {
			t.Errorf("%q was written %+d times too often", line, n)
		}
	}
}
