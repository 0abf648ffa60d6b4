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
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// TestBarDisplayWhileDrawn updates Jobs without pause while their bars are drawn again and again: neither side may wait for the other.
func TestBarDisplayWhileDrawn(t *testing.T) {
	t.Parallel()
	const jobs, completions = 3, 1 << 20
	var drawn bytes.Buffer
	display := newBarDisplay(&drawn)
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Several times the interval at which bars are drawn.
		for end, successes := time.Now().Add(time.Second), int32(0); time.Now().Before(end); successes++ {
			for job := range jobs {
				display.update(types.UID(fmt.Sprint(job)), jobState{
					name: fmt.Sprintf("job-%d", job), outcome: running, succeeded: successes, completions: new(int32(completions)),
				})
			}
		}
		for job := range jobs {
			display.update(types.UID(fmt.Sprint(job)), jobState{name: fmt.Sprintf("job-%d", job), outcome: complete, completions: new(int32(completions))})
		}
		display.close()
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("the display and its drawing wait for each other")
	}
	for _, want := range []string{"job-0", "job-2", "Complete"} {
		if !strings.Contains(drawn.String(), want) {
			t.Errorf("nothing drawn says %q", want)
		}
	}
}
