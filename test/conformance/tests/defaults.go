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

package tests

import (
	"math"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// field is a test that creates a Job with some edits and compares one thing of what comes back with what it should be.
func field[V any](name, description, source string, want V, get func(job *batchv1.Job) V, edits ...edit) suite.Test {
	return suite.Test{Name: name, Description: description, Source: source, Run: func(t *suite.T) {
		// Nothing is to happen to these Jobs, as far as that is not what is looked at.
		created := t.Create(newJob(edits...))
		suite.Equal(t, "the field as created", get(created), want)
		suite.Equal(t, "the field as read", get(t.Get(created)), want)
	}}
}

// or returns what a pointer points at, and a value that no default has where it is nil.
func or[V any](pointer *V, absent V) V {
	if pointer == nil {
		return absent
	}
	return *pointer
}

// flag tells the three states of a field apart.
func flag(pointer *bool) string {
	if pointer == nil {
		return "absent"
	}
	return strconv.FormatBool(*pointer)
}

func init() {
	parallelismOf := func(job *batchv1.Job) int32 { return or(job.Spec.Parallelism, -1) }
	completionsOf := func(job *batchv1.Job) int32 { return or(job.Spec.Completions, -1) }
	backoffLimitOf := func(job *batchv1.Job) int32 { return or(job.Spec.BackoffLimit, -1) }
	replacementOf := func(job *batchv1.Job) batchv1.PodReplacementPolicy {
		return or(job.Spec.PodReplacementPolicy, "absent")
	}
	ignoreDisruption := podFailurePolicy(batchv1.PodFailurePolicyRule{
		Action:          ignoreFailure,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget}},
	})

	subject("Defaults",
		field("Parallelism", "A Job without parallelism has 1.", "guide 3; reference 1.2", 1, parallelismOf),
		field("ParallelismBesideCompletions", "A Job with completions and without parallelism has parallelism 1.", "guide 3, matrix; reference 1.2",
			1, parallelismOf, completions(10)),
		field("Completions", "A Job with neither completions nor parallelism has completions 1.", "guide 3; reference 1.2", 1, completionsOf),
		field("NoCompletionsBesideParallelism", "A Job with parallelism and without completions gets no completions.", "guide 3, matrix; reference 1.2",
			-1, completionsOf, parallelism(5)),
		inGroup(suite.GroupKubernetes, field("BackoffLimitOfKubernetes", "A Job of batch/v1 without backoffLimit has 6.", "reference 1.2",
			6, backoffLimitOf)),
		inGroup(suite.GroupJobserver, field("BackoffLimitOfTheGuide", "A Job of batch.jobserver.dev/v1 without backoffLimit has 4.", "guide 3 and 13",
			4, backoffLimitOf)),
		field("BackoffLimitPerIndex", "A Job with backoffLimitPerIndex and without backoffLimit has the largest int32.", "reference 1.2; KEP-3850",
			math.MaxInt32, backoffLimitOf, indexed(2), backoffLimitPerIndex(1)),
		field("CompletionMode", "A Job without completionMode is NonIndexed.", "guide 6 and 13; reference 1.2",
			batchv1.NonIndexedCompletion, func(job *batchv1.Job) batchv1.CompletionMode { return or(job.Spec.CompletionMode, "absent") }),
		field("Suspend", "A Job without suspend is not suspended.", "guide 2; reference 1.2",
			"false", func(job *batchv1.Job) string { return flag(job.Spec.Suspend) }),
		field("ManualSelector", "A Job without manualSelector has false.", "guide 2; reference 1.2",
			"false", func(job *batchv1.Job) string { return flag(job.Spec.ManualSelector) }),
		field("PodReplacementPolicy", "A Job without podReplacementPolicy replaces Pods that terminate or have failed.", "reference 1.2; KEP-3939",
			batchv1.TerminatingOrFailed, replacementOf),
		field("PodReplacementPolicyBesideFailurePolicy", "A Job with podFailurePolicy and without podReplacementPolicy replaces Pods that have failed.",
			"reference 1.2; KEP-3939", batchv1.Failed, replacementOf, podFailurePolicy(onExitCodes(failJob, 3))),
		field("StatusOfPodCondition", "A podFailurePolicy that names a Pod condition without status means True.", "reference 1.2; KEP-3329",
			corev1.ConditionTrue, func(job *batchv1.Job) corev1.ConditionStatus {
				return job.Spec.PodFailurePolicy.Rules[0].OnPodConditions[0].Status
			}, ignoreDisruption),
	)
}
