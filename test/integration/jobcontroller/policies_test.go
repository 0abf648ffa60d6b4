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

package jobcontroller

import (
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/test/framework"
)

func failurePolicy(rules ...batchv1.PodFailurePolicyRule) func(*batchv1.JobSpec) {
	return func(spec *batchv1.JobSpec) { spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: rules} }
}

func onExitCode(action batchv1.PodFailurePolicyAction, code int32) batchv1.PodFailurePolicyRule {
	return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
		Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{code},
	}}
}

func onDisruption(action batchv1.PodFailurePolicyAction) batchv1.PodFailurePolicyRule {
	return batchv1.PodFailurePolicyRule{Action: action, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
		{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
	}}
}

// TestPodFailurePolicy: each action, on an exit code and on a condition. One Pod of two fails so that the rule matches.
func TestPodFailurePolicy(t *testing.T) {
	t.Parallel()
	matches := map[string]struct {
		rule func(batchv1.PodFailurePolicyAction) batchv1.PodFailurePolicyRule
		fail func(*testing.T, *corev1.Pod)
		// message is what the rule says of a Pod.
		message string
	}{
		"exit code": {
			rule: func(action batchv1.PodFailurePolicyAction) batchv1.PodFailurePolicyRule {
				return onExitCode(action, 42)
			},
			fail:    func(t *testing.T, pod *corev1.Pod) { kubelet.FailedLongAgo(t, 42, pod) },
			message: "Container main for pod %s/%s failed with exit code 42 matching FailJob rule at index 0",
		},
		"condition": {
			rule: onDisruption,
			fail: func(t *testing.T, pod *corev1.Pod) {
				kubelet.End(t, pod, 137, time.Now().Add(-time.Hour), framework.Disrupted("EvictionByEvictionAPI"))
			},
			message: "Pod %s/%s has condition DisruptionTarget matching FailJob rule at index 0",
		},
	}
	for name, match := range matches {
		t.Run("FailJob on "+name, func(t *testing.T) {
			t.Parallel()
			job := start(t, sized(2, 2), backoffLimit(6), failurePolicy(match.rule("FailJob")))
			pods := job.running(2)
			match.fail(t, pods[0])
			job.waitPodsTerminate(pods[1])
			kubelet.LetGo(t, pods[1])
			job.wait(state{Failed: 2, Conditions: failed("PodFailurePolicy")})
			want := fmt.Sprintf(match.message, job.namespace, pods[0].Name)
			if got := job.message(batchv1.JobFailed); got != want {
				t.Errorf("message %q, want %q", got, want)
			}
		})
		t.Run("Ignore on "+name, func(t *testing.T) {
			t.Parallel()
			job := start(t, sized(2, 2), backoffLimit(0), failurePolicy(match.rule("Ignore")))
			pods := job.running(2)
			match.fail(t, pods[0])
			next := job.replacement(-1, pods...)
			kubelet.Succeed(t, pods[1], next)
			job.wait(state{Succeeded: 2, Conditions: complete("CompletionsReached")})
		})
		t.Run("Count on "+name, func(t *testing.T) {
			t.Parallel()
			// The rule that matches first decides.
			job := start(t, sized(2, 2), backoffLimit(1), failurePolicy(match.rule("Count"), match.rule("FailJob")))
			pods := job.running(2)
			match.fail(t, pods[0])
			next := job.replacement(-1, pods...)
			kubelet.Succeed(t, pods[1], next)
			job.wait(state{Succeeded: 2, Failed: 1, Conditions: complete("CompletionsReached")})
		})
		t.Run("FailIndex on "+name, func(t *testing.T) {
			t.Parallel()
			job := start(t, indexed(2), perIndex(5), failurePolicy(match.rule("FailIndex")))
			pods := job.running(2)
			match.fail(t, pods[1])
			job.wait(state{Active: 1, Ready: 1, Failed: 1, FailedIndexes: "1"})
			kubelet.Succeed(t, pods[0])
			job.wait(state{Succeeded: 1, Failed: 1, CompletedIndexes: "0", FailedIndexes: "1", Conditions: failed("FailedIndexes")})
		})
		t.Run("Ignore of an index on "+name, func(t *testing.T) {
			t.Parallel()
			job := start(t, indexed(1), perIndex(0), failurePolicy(match.rule("Ignore")))
			pod := job.running(1)[0]
			match.fail(t, pod)
			next := job.replacement(0, pod)
			if next.Annotations[failureCountAnnotation] != "0" || next.Annotations[ignoredCountAnnotation] != "1" {
				t.Errorf("the replacement has annotations %v, want 0 failures and 1 ignored", next.Annotations)
			}
			kubelet.Succeed(t, next)
			job.wait(state{Succeeded: 1, CompletedIndexes: "0", Conditions: complete("CompletionsReached")})
		})
		t.Run("none on "+name, func(t *testing.T) {
			t.Parallel()
			job := start(t, sized(1, 1), backoffLimit(0), failurePolicy(match.rule("Ignore")))
			pod := job.running(1)[0]
			kubelet.FailedLongAgo(t, 41, pod)
			job.wait(state{Failed: 1, Conditions: failed("BackoffLimitExceeded")})
		})
	}
}

// TestSuccessPolicy: each form of rule. The Pods that are left are stopped and not counted.
func TestSuccessPolicy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		rules []batchv1.SuccessPolicyRule
		// succeed, one after the other, meet the policy with the last one.
		succeed   []int
		completed string
		message   string
	}{
		"all of some indexes": {
			rules:   []batchv1.SuccessPolicyRule{{SucceededIndexes: new("0,3")}},
			succeed: []int{0, 1, 3}, completed: "0,1,3", message: "Matched rules at index 0",
		},
		"a number of some indexes": {
			rules:   []batchv1.SuccessPolicyRule{{SucceededIndexes: new("0-2"), SucceededCount: new(int32(2))}},
			succeed: []int{3, 0, 2}, completed: "0,2,3", message: "Matched rules at index 0",
		},
		"a number of any indexes": {
			rules:   []batchv1.SuccessPolicyRule{{SucceededCount: new(int32(2))}},
			succeed: []int{3, 1}, completed: "1,3", message: "Matched rules at index 0",
		},
		"a later rule": {
			rules:   []batchv1.SuccessPolicyRule{{SucceededCount: new(int32(4))}, {SucceededIndexes: new("2")}},
			succeed: []int{2}, completed: "2", message: "Matched rules at index 1",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := start(t, indexed(4), func(spec *batchv1.JobSpec) { spec.SuccessPolicy = &batchv1.SuccessPolicy{Rules: test.rules} })
			pods := job.running(4)
			succeeded := int32(len(test.succeed))
			left := 4 - succeeded
			for i, index := range test.succeed {
				kubelet.Succeed(t, pods[index])
				if done := int32(i + 1); done < succeeded {
					job.eventually("the success is counted", func(job *batchv1.Job) bool { return job.Status.Succeeded == done })
				}
			}
			job.wait(state{Terminating: left, Succeeded: succeeded, CompletedIndexes: test.completed, Conditions: []string{"SuccessCriteriaMet True SuccessPolicy"}})
			for i, pod := range pods {
				if job.pod(pods[i]).DeletionTimestamp != nil {
					kubelet.LetGo(t, pod)
				}
			}
			job.wait(state{Succeeded: succeeded, CompletedIndexes: test.completed, Conditions: complete("SuccessPolicy")})
			if got := job.message(batchv1.JobComplete); got != test.message {
				t.Errorf("message %q, want %q", got, test.message)
			}
		})
	}
}

func replace(policy batchv1.PodReplacementPolicy) func(*batchv1.JobSpec) {
	return func(spec *batchv1.JobSpec) { spec.PodReplacementPolicy = &policy }
}

// TestReplacedWhileTerminating: by default a Pod that is being deleted has failed, and is replaced at once (after the back-off).
func TestReplacedWhileTerminating(t *testing.T) {
	t.Parallel()
	job := start(t, indexed(1), replace(batchv1.TerminatingOrFailed))
	pod := job.running(1)[0]
	job.deletePods(pod)
	next := job.replacement(0, pod)
	job.wait(state{Active: 1, Terminating: 1, Failed: 1})
	kubelet.LetGo(t, pod)
	job.wait(state{Active: 1, Failed: 1})
	kubelet.Succeed(t, next)
	job.wait(state{Succeeded: 1, Failed: 1, CompletedIndexes: "0", Conditions: complete("CompletionsReached")})
}

// TestReplacedOnceFailed: with podReplacementPolicy Failed the replacement waits for the end, and the result is what the Pod ended with.
func TestReplacedOnceFailed(t *testing.T) {
	t.Parallel()
	job := start(t, sized(2, 2), replace(batchv1.Failed))
	pods := job.running(2)
	job.deletePods(pods...)
	job.wait(state{Terminating: 2})
	if made := job.pods(); len(made) != 2 {
		t.Fatalf("%d Pods while two terminate, want no more", len(made))
	}
	kubelet.Succeed(t, pods[0])
	kubelet.LetGo(t, pods[0])
	kubelet.FailedLongAgo(t, 1, pods[1])
	kubelet.LetGo(t, pods[1])
	job.waitPodsGone(pods...)
	next := job.active(1)
	job.wait(state{Active: 1, Succeeded: 1, Failed: 1})
	kubelet.Succeed(t, next...)
	job.wait(state{Succeeded: 2, Failed: 1, Conditions: complete("CompletionsReached")})
}
