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
	"testing"

	corev1 "k8s.io/api/core/v1"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	var (
		counting = makeJob().disruption(batchv1.DisruptionCount)
		ignoring = makeJob().disruption(batchv1.DisruptionIgnore)
		waiting  = makeJob().disruption(batchv1.DisruptionIgnore).replace(batchv1.Failed)
		ruled    = makeJob().disruption(batchv1.DisruptionIgnore).failureRules(exitRule(batchv1.PodFailurePolicyActionCount, 1), exitRule(batchv1.PodFailurePolicyActionIgnore, 2))
	)
	for name, tc := range map[string]struct {
		job  *jobBuilder
		pod  *podBuilder
		want resultKind
	}{
		"running":                         {ignoring, makePod("p").running(), resultNone},
		"succeeded":                       {ignoring, makePod("p").succeeded(1), resultSucceeded},
		"succeeded while being deleted":   {ignoring, makePod("p").succeeded(5).deleted(1), resultSucceeded},
		"succeeded although disrupted":    {ignoring, makePod("p").succeeded(5).disrupted().deleted(1), resultSucceeded},
		"failed":                          {counting, makePod("p").failed(1), resultFailed},
		"failed by itself":                {ignoring, makePod("p").failed(1), resultFailed},
		"failed by a signal":              {ignoring, makePod("p").exited(137, 1), resultFailed},
		"failed, then deleted":            {ignoring, makePod("p").failed(1).deleted(5), resultFailed},
		"evicted":                         {ignoring, makePod("p").exited(143, 5).disrupted(), resultDisrupted},
		"evicted, unset policy":           {makeJob(), makePod("p").exited(143, 5).disrupted(), resultFailed},
		"evicted, counting":               {counting, makePod("p").exited(143, 5).disrupted(), resultFailed},
		"failed after its deletion":       {ignoring, makePod("p").exited(143, 5).deleted(1), resultDisrupted},
		"failed in that second":           {ignoring, makePod("p").exited(143, 1).deleted(1), resultDisrupted},
		"failed without having run":       {ignoring, makePod("p").phase(corev1.PodFailed).deleted(1), resultDisrupted},
		"rejected by its node":            {ignoring, makePod("p").phase(corev1.PodFailed), resultFailed},
		"terminating, replaced at once":   {ignoring, makePod("p").running().deleted(1), resultDisrupted},
		"terminating, counting":           {counting, makePod("p").running().deleted(1), resultFailed},
		"terminating, replaced at last":   {waiting, makePod("p").running().deleted(1), resultNone},
		"a rule goes before a disruption": {ruled, makePod("p").exited(1, 5).disrupted(), resultFailed},
		"a rule ignores":                  {ruled, makePod("p").exited(2, 5), resultIgnored},
		"no rule, disrupted":              {ruled, makePod("p").exited(3, 5).disrupted(), resultDisrupted},
		"no rule":                         {ruled, makePod("p").exited(3, 5), resultFailed},
		"stopped by the Job's failure": {
			makeJob().disruption(batchv1.DisruptionIgnore).condition(batchv1.JobFailureTarget, corev1.ConditionTrue, "R", "m"),
			makePod("p").exited(143, 2).deleted(0), resultStopped,
		},
		"stopped by the Job's failure, ignored by a rule": {
			makeJob().failureRules(exitRule(batchv1.PodFailurePolicyActionIgnore, 143)).condition(batchv1.JobFailureTarget, corev1.ConditionTrue, "R", "m"),
			makePod("p").exited(143, 2).deleted(0), resultIgnored,
		},
		"deleted before the Job's failure": {
			makeJob().disruption(batchv1.DisruptionIgnore).condition(batchv1.JobFailureTarget, corev1.ConditionTrue, "R", "m"),
			makePod("p").exited(143, 2).deleted(-1), resultDisrupted,
		},
		"stopped by the Job's success": {
			makeJob().condition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "R", "m"),
			makePod("p").exited(143, 2).deleted(0), resultSpare,
		},
		"failed by itself after the Job's success": {
			makeJob().condition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "R", "m"),
			makePod("p").exited(1, 2), resultFailed,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := observeAt(10, tc.job.obj(), tc.pod.obj())
			if got := s.judge(&podState{Pod: tc.pod.obj()}).kind; got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}
