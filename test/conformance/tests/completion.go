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
	"github.com/jobserver-dev/jobserver/test/conformance/suite"
	batchv1 "k8s.io/api/batch/v1"
)

func init() {
	subject("Completion",
		suite.Test{
			Name: "OnePod", Description: "A Job of one Pod is complete once the Pod has succeeded.", Source: "guide 1; reference B24",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				t.Succeed(t.WaitActive(job, 1)...)
				job = t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "succeeded", job.Status.Succeeded, 1)
				suite.Equal(t, "active", job.Status.Active, 0)
				suite.Equal(t, "failed", job.Status.Failed, 0)
			},
		},
		suite.Test{
			Name: "Condition", Description: "The conditions of a complete Job are SuccessCriteriaMet and Complete, with the same reason and message.",
			Source: "reference 2.15 and B39",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				t.Succeed(t.WaitActive(job, 1)...)
				job = t.WaitComplete(job, "CompletionsReached")
				for _, kind := range []batchv1.JobConditionType{batchv1.JobSuccessCriteriaMet, batchv1.JobComplete} {
					condition := suite.Condition(job, kind)
					if condition == nil {
						t.Fatalf("there is no condition %s", kind)
					}
					suite.Equal(t, string(kind), [3]string{string(condition.Status), condition.Reason, condition.Message},
						[3]string{"True", "CompletionsReached", "Reached expected number of succeeded pods"})
				}
			},
		},
	)
}
