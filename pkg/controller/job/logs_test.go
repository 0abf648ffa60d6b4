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

package job

import (
	"testing"

	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// TestLogsOfASync: each line about a Job's sync names the Job, and no key twice, which readers of JSON lines stumble over.
func TestLogsOfASync(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true), ktesting.Verbosity(4)))
	e.ctx = klog.NewContext(e.ctx, logger)
	e.create(newJob(sized(2, 2)))
	e.mustSync()
	e.change(func(job *batchv1.Job) { job.Spec.Parallelism = new(int32(1)) })
	e.mustSync()

	lines := map[string]int{}
	for _, entry := range logger.GetSink().(ktesting.Underlier).GetBuffer().Data() {
		lines[entry.Message]++
		values := map[any]any{}
		all := append(append([]any(nil), entry.WithKVList...), entry.ParameterKVList...)
		for i := 0; i+1 < len(all); i += 2 {
			if _, twice := values[all[i]]; twice {
				t.Errorf("%q has the key %v twice", entry.Message, all[i])
			}
			values[all[i]] = all[i+1]
		}
		if values["job"] != klog.KRef(namespace, jobName) {
			t.Errorf("%q is about the Job %v", entry.Message, values["job"])
		}
	}
	if lines["Created Pod"] != 2 || lines["Deleted Pod"] != 1 || lines["Synced Job"] != 2 {
		t.Errorf("lines %v, want two Pods created, one deleted, two syncs", lines)
	}
}
