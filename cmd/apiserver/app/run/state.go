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
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/duration"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// outcome is how a Job stands.
type outcome string

const (
	running   outcome = "Running"
	suspended outcome = "Suspended"
	complete  outcome = "Complete"
	failed    outcome = "Failed"
	deleted   outcome = "Deleted"
)

// jobState is what is shown of a Job.
type jobState struct {
	name    string
	outcome outcome
	// reason and message say why a Job failed.
	reason, message string

	active, succeeded, failed int32
	// completions is how many successes are asked for, nil for a work queue.
	completions *int32
	started     time.Time
	ended       time.Time
}

// stateOf reads the state of a Job. Gone is true where the Job no longer exists; one that ended before keeps its outcome.
func stateOf(job *batchv1.Job, gone bool) jobState {
	state := jobState{
		name:        displayName(job),
		outcome:     running,
		active:      job.Status.Active,
		succeeded:   job.Status.Succeeded,
		failed:      job.Status.Failed,
		completions: job.Spec.Completions,
	}
	if job.Status.StartTime != nil {
		state.started = job.Status.StartTime.Time
	}
	if gone {
		state.outcome = deleted
		state.message = "the Job was deleted before it ended"
	}
	for _, condition := range job.Status.Conditions {
		if condition.Status != corev1.ConditionTrue {
			continue
		}
		switch condition.Type {
		case batchv1.JobComplete:
			state.outcome, state.ended = complete, condition.LastTransitionTime.Time
			state.reason, state.message = "", ""
		case batchv1.JobFailed:
			state.outcome, state.ended = failed, condition.LastTransitionTime.Time
			state.reason, state.message = condition.Reason, condition.Message
		case batchv1.JobSuspended:
			if state.outcome == running {
				state.outcome = suspended
			}
		}
	}
	return state
}

func (s jobState) over() bool {
	return s.outcome == complete || s.outcome == failed || s.outcome == deleted
}

// counts is the state in words.
func (s jobState) counts() string {
	return fmt.Sprintf("%s succeeded, %d active, %d failed", s.successes(), s.active, s.failed)
}

func (s jobState) successes() string {
	if s.completions == nil {
		return fmt.Sprint(s.succeeded)
	}
	return fmt.Sprintf("%d/%d", s.succeeded, *s.completions)
}

func (s jobState) elapsed(now time.Time) string {
	switch {
	case s.started.IsZero():
		return "-"
	case s.ended.IsZero():
		return duration.HumanDuration(now.Sub(s.started))
	default:
		return duration.HumanDuration(s.ended.Sub(s.started))
	}
}

// printTable prints how the Jobs ended, and why where they failed.
func printTable(out io.Writer, states map[types.UID]jobState, now time.Time) error {
	sorted := slices.SortedFunc(maps.Values(states), func(a, b jobState) int { return strings.Compare(a.name, b.name) })
	writer := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(writer, "\nNAME\tSTATUS\tCOMPLETIONS\tFAILED\tDURATION\tREASON")
	for _, state := range sorted {
		fmt.Fprintf(writer, "%s\t%s\t%s\t%d\t%s\t%s\n",
			state.name, state.outcome, state.successes(), state.failed, state.elapsed(now), state.explanation())
	}
	return writer.Flush()
}

func (s jobState) explanation() string {
	if s.reason == "" {
		return s.message
	}
	return s.reason + ": " + s.message
}
