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
	"slices"
	"strings"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

var all []suite.Test

// subject registers the tests of a subject, which is the first part of their names. Each file calls it when the package is
// initialized.
func subject(name string, tests ...suite.Test) {
	for _, test := range tests {
		test.Name = name + "/" + test.Name
		all = append(all, test)
	}
}

// kubernetesPolicies returns the test with Jobs that behave as Kubernetes', through our group too.
func kubernetesPolicies(test suite.Test) suite.Test {
	test.KubernetesPolicies = true
	return test
}

// inSource returns the test with another source.
func inSource(source string, test suite.Test) suite.Test {
	test.Source = source
	return test
}

// All returns all tests in the order of their names.
func All() []suite.Test {
	return slices.SortedFunc(slices.Values(all), func(a, b suite.Test) int { return strings.Compare(a.Name, b.Name) })
}
