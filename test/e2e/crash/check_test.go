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
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"
)

// check compares what the API says of each Job, what the diaries say, and what had to come of it.
func (r *round) check(ctx context.Context) []error {
	jobs, err := readJobs(ctx, r)
	if err != nil {
		return []error{err}
	}
	pods, err := readPods(ctx, r)
	if err != nil {
		return []error{err}
	}
	var problems []error
	for _, w := range r.jobs {
		name := r.name(w)
		report := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...)))
		}
		j, found := jobs[name]
		if found == w.want.gone {
			report("exists: %t, want %t", found, !w.want.gone)
		}
		if found {
			checkStatus(w.want, j, r.diary(w), report)
			checkPods(w.want, j, pods[name], report)
		}
		checkDiary(w.want, r.diary(w), report)
	}
	return problems
}

func checkStatus(want outcome, j job, d diary, report func(string, ...any)) {
	status := j.Status
	condition, reason := j.ended()
	if condition != want.condition || (want.reason != "" && reason != want.reason) {
		report("ended with %s, %s; want %s, %s", condition, reason, want.condition, want.reason)
	}
	if status.Active != 0 || status.Terminating != 0 || status.Ready != 0 {
		report("%d Pods active, %d terminating, %d ready, and it has ended", status.Active, status.Terminating, status.Ready)
	}
	if left := status.UncountedTerminatedPods; len(left.Succeeded)+len(left.Failed) > 0 {
		report("Pods not counted yet: %v", left)
	}
	if status.CompletedIndexes != want.completedIndexes || status.FailedIndexes != want.failedIndex {
		report("completed indexes %q, failed %q; want %q and %q", status.CompletedIndexes, status.FailedIndexes, want.completedIndexes, want.failedIndex)
	}
	if want.check != nil {
		if problem := want.check(j, d); problem != "" {
			report("%s", problem)
		}
		return
	}
	if status.Succeeded != want.succeeded || status.Failed != want.failed {
		report("%d Pods succeeded, %d failed; want %d and %d", status.Succeeded, status.Failed, want.succeeded, want.failed)
	}
}

// checkPods checks the Pods of a Job that has ended. Each that is left was counted once.
func checkPods(want outcome, j job, pods []pod, report func(string, ...any)) {
	phases := map[string]int{}
	for _, one := range pods {
		phases[one.Status.Phase]++
		if len(one.Metadata.Finalizers) > 0 {
			report("Pod %s has finalizers %v", one.Metadata.Name, one.Metadata.Finalizers)
		}
	}
	if want.strays {
		phases["Succeeded"] = min(phases["Succeeded"], j.Status.Succeeded)
		pods = pods[:min(len(pods), phases["Succeeded"]+phases["Failed"])]
	}
	if phases["Succeeded"] != j.Status.Succeeded || phases["Failed"] > j.Status.Failed || phases["Succeeded"]+phases["Failed"] != len(pods) {
		report("its Pods are %v, and it counts %d succeeded and %d failed", phases, j.Status.Succeeded, j.Status.Failed)
	}
}

func checkDiary(want outcome, d diary, report func(string, ...any)) {
	if want.starts != nil && !maps.Equal(d.count("start"), want.starts) {
		report("the machine started its indexes %v times, want %v\n%v", d.count("start"), want.starts, d.lines())
	}
	if done := d.count("done"); (want.starts != nil || want.done != nil) && !maps.Equal(done, want.done) {
		report("the machine brought its indexes %v times to a good end, want %v\n%v", done, want.done, d.lines())
	}
	if most := d.atOnce(); want.parallelism > 0 && most > want.parallelism {
		report("%d processes ran at once, its parallelism is %d\n%v", most, want.parallelism, d.lines())
	}
}

// deleteAll deletes the Jobs, one after the other, and waits until nothing is left: no object, no process, no file.
func (r *round) deleteAll(ctx context.Context) error {
	for i, w := range r.jobs {
		policy := []string{"Background", "Foreground"}[i%2]
		if err := insist(ctx, r, "DELETE", w.path()+"/"+r.name(w)+"?propagationPolicy="+policy, "", nil); err != nil {
			return err
		}
	}
	return r.awaitNothing(ctx)
}

func (r *round) awaitNothing(ctx context.Context) error {
	for {
		left, err := r.leftOver(ctx)
		if err != nil {
			return err
		}
		if left == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after the deletion of all Jobs there is left: %s", left)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// leftOver says what is still there; empty: nothing.
func (r *round) leftOver(ctx context.Context) (string, error) {
	jobs, err := readJobs(ctx, r)
	if err != nil {
		return "", err
	}
	pods, err := readPods(ctx, r)
	if err != nil {
		return "", err
	}
	folders, supervisors := 0, []int{}
	for _, s := range r.servers {
		files, err := os.ReadDir(filepath.Join(s.dataDir, "node", "pods"))
		if err != nil {
			return "", err
		}
		folders += len(files)
		supervisors = append(supervisors, supervisorsOf(s)...)
	}
	processes := processesWith(r.dir)
	if len(jobs)+len(pods)+folders+len(processes)+len(supervisors) == 0 {
		return "", nil
	}
	return fmt.Sprintf("%d Jobs, %d Jobs' Pods, %d folders of Pods, processes %v, supervisors %v", len(jobs), len(pods), folders, processes, supervisors), nil
}
