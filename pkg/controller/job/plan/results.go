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

package plan

import (
	corev1 "k8s.io/api/core/v1"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// resultKind is what the end of a Pod means to its Job.
type resultKind int

const (
	// resultNone: the Pod has not ended.
	resultNone resultKind = iota

	// resultSucceeded: the Pod has done its work.
	resultSucceeded

	// resultFailed: a failure that counts.
	resultFailed

	// resultIgnored: a failure that a rule of the podFailurePolicy does not let count. It still delays the Pod's replacement
	// (rule B58).
	resultIgnored

	// resultDisrupted: the Pod was lost through no fault of its own, see disruption.go: neither a failure nor a reason to
	// delay.
	resultDisrupted

	// resultStopped: the Pod was deleted because the Job has failed. Kubernetes counts it as failed (rule B36), but it says
	// nothing about its index, and has no replacement to be delayed.
	resultStopped

	// resultSpare: the Pod was deleted because the Job has succeeded without it. It does not count (rule B70).
	resultSpare
)

// result is the end of a Pod as judged by the Job's policies.
type result struct {
	kind resultKind

	// rule is the rule of the podFailurePolicy that decided; nil if none did.
	rule *matchedRule
}

// counts says whether status.failed counts the Pod.
func (r result) counts() bool {
	return r.kind == resultFailed || r.kind == resultStopped
}

// judge says what the end of the Pod means. The order decides: a success stays one even if the Pod is being deleted; a Pod
// that the Job's own end stopped is no disruption; an explicit rule of the podFailurePolicy goes before the
// disruptionPolicy.
func (s *state) judge(p *podState) result {
	if p.Status.Phase == corev1.PodSucceeded {
		return result{kind: resultSucceeded}
	}
	if !isFailed(s.job, p.Pod) {
		return result{}
	}
	if r := s.judgeStopped(p); r.kind != resultNone {
		return r
	}
	return s.judgeFailure(p)
}

// judgeFailure says how a Pod counts that is taken for failed, whatever its phase.
func (s *state) judgeFailure(p *podState) result {
	rule := matchPodFailurePolicy(s.job.Spec.PodFailurePolicy, p.Pod)
	if rule != nil {
		if rule.action == batchv1.PodFailurePolicyActionIgnore {
			return result{kind: resultIgnored, rule: rule}
		}
		return result{kind: resultFailed, rule: rule}
	}
	if ignoresDisruptions(s.job) && isDisrupted(p.Pod) {
		return result{kind: resultDisrupted}
	}
	return result{kind: resultFailed}
}

// judgeStopped judges a Pod that the end of the Job stopped: one whose deletion was asked for after that end had been
// decided. It is resultNone for other Pods.
func (s *state) judgeStopped(p *podState) result {
	if p.DeletionTimestamp == nil {
		return result{}
	}
	decided := interimCondition(&s.job.Status)
	if decided == nil || deletionRequested(p.Pod).Before(decided.LastTransitionTime.Time) {
		return result{}
	}
	if decided.Type == batchv1.JobSuccessCriteriaMet {
		return result{kind: resultSpare}
	}
	rule := matchPodFailurePolicy(s.job.Spec.PodFailurePolicy, p.Pod)
	if rule != nil && rule.action == batchv1.PodFailurePolicyActionIgnore {
		return result{kind: resultIgnored, rule: rule}
	}
	return result{kind: resultStopped, rule: rule}
}
