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

import "github.com/jobserver-dev/jobserver/test/conformance/suite"

func init() {
	subject("Running",
		suite.Test{
			Name: "True", Description: "A Job whose Pod exits with 0 completes.", Source: "guide 1 and 2", Profile: suite.ProfileNode,
			Run: func(t *suite.T) {
				t.WaitComplete(t.Create(runningJob("exit 0")), "CompletionsReached")
			},
		},
		suite.Test{
			Name: "False", Description: "A Job without retries whose Pod exits with 1 fails.", Source: "guide 3 and 5", Profile: suite.ProfileNode,
			Run: func(t *suite.T) {
				t.WaitFailed(t.Create(runningJob("exit 1", backoffLimit(0))), "BackoffLimitExceeded")
			},
		},
	)
}
