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

package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// work is one Job of the load, and what has to come of it whatever happens to the server meanwhile.
type work struct {
	kind string
	// group is batch.jobserver.dev for Jobs of our own group.
	group string
	// spec is JSON: the Job's spec without its template.
	spec string
	// body is what each container does between the "start" and the "done" in the diary; "fail N" ends it with exit code N.
	body string
	// restart is the Pods' restart policy. Empty: Never.
	restart string
	// drive does what somebody does to the Job once it is made; nil: nothing.
	drive func(ctx context.Context, r *round, w work) error
	want  outcome
}

// outcome is how a Job has to end.
type outcome struct {
	// gone says that it doesn't exist any more.
	gone              bool
	condition, reason string
	// succeeded and failed are the counters.
	succeeded, failed             int
	completedIndexes, failedIndex string
	// starts and done are how often each index was started, and came to its good end. "-" is the index of Jobs without.
	starts, done map[string]int
	// parallelism is how many processes there may be at once; 0 for Jobs that may exceed theirs, as one does that is suspended and resumed while its
	// Pods still terminate.
	parallelism int
	// strays says that Pods may be left that the Job doesn't count.
	strays bool
	// check looks at what can't be said in numbers.
	check func(j job, d diary) string
}

// each says of n indexes that something happened to them so many times.
func each(n, times int) map[string]int {
	all := map[string]int{}
	for i := range n {
		all[fmt.Sprint(i)] = times
	}
	return all
}

// load is the mixture that runs in each round.
func load() []work {
	return []work{
		{
			kind: "parallel", spec: `{"completions": 6, "parallelism": 3}`, body: "sleep 0.2",
			want: outcome{condition: "Complete", succeeded: 6, starts: map[string]int{"-": 6}, done: map[string]int{"-": 6}, parallelism: 3},
		}, {
			kind: "indexed", spec: `{"completionMode": "Indexed", "completions": 8, "parallelism": 4}`, body: "sleep 0.3",
			want: outcome{condition: "Complete", succeeded: 8, completedIndexes: "0-7", starts: each(8, 1), done: each(8, 1), parallelism: 4},
		}, {
			kind: "failing", spec: `{"backoffLimit": 2}`, body: "fail 3",
			want: outcome{condition: "Failed", reason: "BackoffLimitExceeded", failed: 3, starts: map[string]int{"-": 3}, parallelism: 1},
		}, {
			kind: "per-index", spec: `{"completionMode": "Indexed", "completions": 5, "parallelism": 3, "backoffLimitPerIndex": 1}`,
			body: "case $I in 1|3) fail 1;; esac; sleep 0.1",
			want: outcome{
				condition: "Failed", reason: "FailedIndexes", succeeded: 3, failed: 4, completedIndexes: "0,2,4", failedIndex: "1,3",
				starts: map[string]int{"0": 1, "1": 2, "2": 1, "3": 2, "4": 1}, done: map[string]int{"0": 1, "2": 1, "4": 1}, parallelism: 3,
			},
		}, {
			kind: "policy", spec: `{"completions": 3, "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}}`,
			body: "fail 42",
			want: outcome{condition: "Failed", reason: "PodFailurePolicy", failed: 1, starts: map[string]int{"-": 1}, parallelism: 1},
		}, {
			kind: "restarting", spec: `{"completionMode": "Indexed", "completions": 2, "parallelism": 2}`, restart: "OnFailure",
			body: "if ! [ -e $D-$I ]; then touch $D-$I; fail 1; fi",
			want: outcome{condition: "Complete", succeeded: 2, completedIndexes: "0,1", starts: each(2, 2), done: each(2, 1), parallelism: 2},
		}, {
			kind: "queue", spec: `{"parallelism": 3}`, body: "sleep 0.2",
			want: outcome{condition: "Complete", parallelism: 3, check: countsWhatRan},
		}, {
			kind: "suspended", spec: `{"completionMode": "Indexed", "completions": 4, "parallelism": 2, "suspend": true}`, body: "sleep 0.1", drive: resume,
			want: outcome{condition: "Complete", succeeded: 4, completedIndexes: "0-3", starts: each(4, 1), done: each(4, 1), parallelism: 2},
		}, {
			kind: "paused", spec: `{"completionMode": "Indexed", "completions": 4, "parallelism": 2}`, body: "sleep 0.6", drive: pause,
			want: outcome{condition: "Complete", completedIndexes: "0-3", strays: true, check: anyRunsOfFour},
		}, {
			kind: "keeping", group: "batch.jobserver.dev", spec: `{"completionMode": "Indexed", "completions": 4, "parallelism": 2, "suspendPolicy": "KeepPods"}`,
			body: "sleep 0.6", drive: pause,
			want: outcome{condition: "Complete", succeeded: 4, completedIndexes: "0-3", starts: each(4, 1), done: each(4, 1), parallelism: 2},
		}, {
			kind: "brief", spec: `{"completions": 2, "parallelism": 2, "ttlSecondsAfterFinished": 1}`, body: ":",
			want: outcome{gone: true, starts: map[string]int{"-": 2}, done: map[string]int{"-": 2}, parallelism: 2},
		}, {
			kind: "deleted", spec: `{"completions": 3, "parallelism": 3}`, body: "sleep 3600", drive: remove,
			want: outcome{gone: true, parallelism: 3},
		},
	}
}

// countsWhatRan is for Jobs that may run less often than they could: all that ran has to be counted.
func countsWhatRan(j job, d diary) string {
	ran := d.count("start")["-"]
	if j.Status.Succeeded != ran || j.Status.Failed != 0 || ran < 1 || ran > 3 || d.count("done")["-"] != ran {
		return fmt.Sprintf("%d Pods ran, %d succeeded, %d failed; want 1 to 3, all of which succeeded", ran, j.Status.Succeeded, j.Status.Failed)
	}
	return ""
}

// anyRunsOfFour is for the Job whose Pods are deleted as it is suspended. They are given up before they are deleted, as in Kubernetes: one
// that comes to its good end meanwhile is not counted, and its index runs again. Where the server is killed between the two, and the Pod has
// ended when the next one looks, it stays as long as its Job.
func anyRunsOfFour(j job, d diary) string {
	if done := d.count("done"); len(done) != 4 || j.Status.Succeeded != 4 || j.Status.Failed != 0 {
		return fmt.Sprintf("%d Pods succeeded, %d failed, and the indexes came to their ends %v times; want 4 Pods, and each index", j.Status.Succeeded, j.Status.Failed, done)
	}
	return ""
}

// manifest returns the Job as JSON.
func (w work) manifest(name string, d diary) string {
	script := fmt.Sprintf(`D=%s; I=${JOB_COMPLETION_INDEX:--}; say() { echo "$1 $I $POD" >>$D; }; fail() { say end; exit $1; }
trap 'say end; exit 143' TERM; say start; %s; trap '' TERM; say done; say end`, d.path, w.body)
	group, restart := w.group, w.restart
	if group == "" {
		group = "batch"
	}
	if restart == "" {
		restart = "Never"
	}
	spec := map[string]any{}
	if err := json.Unmarshal([]byte(w.spec), &spec); err != nil {
		panic(fmt.Sprintf("the spec of %s: %v", w.kind, err))
	}
	spec["template"] = map[string]any{"spec": map[string]any{
		"restartPolicy": restart, "terminationGracePeriodSeconds": 5,
		"containers": []any{map[string]any{
			"name": "main", "image": "none", "command": []string{"sh", "-c", script},
			"env": []any{map[string]any{"name": "POD", "valueFrom": map[string]any{"fieldRef": map[string]any{"fieldPath": "metadata.name"}}}},
		}},
	}}
	manifest, err := json.Marshal(map[string]any{
		"apiVersion": group + "/v1", "kind": "Job", "metadata": map[string]any{"name": name}, "spec": spec,
	})
	if err != nil {
		panic(fmt.Sprintf("the manifest of %s: %v", w.kind, err))
	}
	return string(manifest)
}

// path is where Jobs of its group are.
func (w work) path() string {
	if w.group != "" {
		return "/apis/" + w.group + "/v1" + namespace + "/jobs"
	}
	return "/apis/batch/v1" + namespace + "/jobs"
}

func resume(ctx context.Context, r *round, w work) error { return r.suspend(ctx, w, false) }

// pause suspends the Job once it runs, and resumes it when it has come to rest.
func pause(ctx context.Context, r *round, w work) error {
	if err := r.diary(w).await(ctx, "start"); err != nil {
		return err
	}
	if err := r.suspend(ctx, w, true); err != nil {
		return err
	}
	for {
		var j job
		if err := insist(ctx, r, "GET", w.path()+"/"+r.name(w), "", &j); err != nil {
			return err
		}
		if j.Status.Active == 0 && j.Status.Terminating == 0 {
			return r.suspend(ctx, w, false)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func remove(ctx context.Context, r *round, w work) error {
	if err := r.diary(w).await(ctx, "start"); err != nil {
		return err
	}
	return insist(ctx, r, "DELETE", w.path()+"/"+r.name(w)+"?propagationPolicy=Background", "", nil)
}

// diary is a file that the processes of one Job's Pods append lines to: what happened, the index, the Pod.
type diary struct{ path string }

func (d diary) lines() [][]string {
	content, err := os.ReadFile(d.path)
	if err != nil {
		return nil // nothing has run yet
	}
	var lines [][]string
	for line := range strings.Lines(string(content)) {
		if words := strings.Fields(line); len(words) == 3 {
			lines = append(lines, words)
		}
	}
	return lines
}

// count counts what happened, by index.
func (d diary) count(what string) map[string]int {
	counts := map[string]int{}
	for _, line := range d.lines() {
		if line[0] == what {
			counts[line[1]]++
		}
	}
	return counts
}

// atOnce is how many processes there were at the same time, at most.
func (d diary) atOnce() int {
	now, most := 0, 0
	for _, line := range d.lines() {
		switch line[0] {
		case "start":
			now++
		case "end":
			now--
		}
		most = max(most, now)
	}
	return most
}

// await waits until something has happened.
func (d diary) await(ctx context.Context, what string) error {
	for len(d.count(what)) == 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for a %s in %s: %w", what, filepath.Base(d.path), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
