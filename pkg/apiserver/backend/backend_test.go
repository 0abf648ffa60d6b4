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

package backend

import (
	"testing"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
)

// TestCountJobs counts those of one namespace, not of one whose name only begins alike.
func TestCountJobs(t *testing.T) {
	t.Parallel()
	b, err := Open(t.Context(), apiserver.Etcd{}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, key := range []string{"team/a", "team/b", "team-two/c"} {
		if _, err := b.Client.Put(t.Context(), b.Store.JobsPrefix()+key, "a Job"); err != nil {
			t.Fatal(err)
		}
	}
	for namespace, want := range map[string]int64{"team": 2, "team-two": 1, "tea": 0} {
		if got, err := b.CountJobs(t.Context(), namespace); err != nil || got != want {
			t.Errorf("Jobs of namespace %s: %d, %v, want %d", namespace, got, err, want)
		}
	}
}
