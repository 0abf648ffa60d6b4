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

package compare

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	batchv1 "k8s.io/api/batch/v1"
)

// A rule is a request picked by hand for one rule of the reference.
type rule struct {
	name  string       // the rule's number first
	start *batchv1.Job // what is edited: newJob() where nil
	edit  edit
	want  []string // how each of upstream's errors begins, in any order; none: accepted
	warns bool     // is there a warning?
}

// Errors begin with the type that a client sees as the cause's reason.
const (
	invalid      = "FieldValueInvalid "
	required     = "FieldValueRequired "
	notSupported = "FieldValueNotSupported "
	tooLong      = "FieldValueTooLong "
	tooMany      = "FieldValueTooMany "
	duplicate    = "FieldValueDuplicate "
	forbidden    = "FieldValueForbidden "
)

// testRules compares each case, and checks first that upstream says what the case is there for. Time stands still meanwhile, so that ages in
// tables are the same on both sides; bubbles share caches of the libraries, so these tests are not parallel.
func testRules(t *testing.T, verb verb, rules []rule) {
	t.Helper()
	upstream, ours := sides(t)
	synctest.Test(t, func(t *testing.T) {
		for _, rule := range rules {
			if rule.start == nil {
				rule.start = newJob()
			}
			req := request{verb: verb, job: rule.start.DeepCopy()}
			if verb != create {
				req.old = rule.start.DeepCopy()
			}
			rule.edit(req.job)
			theirs := upstream.run(req)
			if theirs.Panic == "" && (!begin(theirs.Errors, rule.want) || rule.warns != (len(theirs.Warnings) > 0)) {
				t.Errorf("%s: Kubernetes answers\n\t%s\nwarnings %q, want\n\t%s\nwarnings %t", rule.name,
					strings.Join(theirs.Errors, "\n\t"), theirs.Warnings, strings.Join(rule.want, "\n\t"), rule.warns)
			}
			if differs := mismatch(theirs, ours.run(req)); differs != "" {
				t.Errorf("%s: %s", rule.name, differs)
			}
		}
	})
}

// begin says whether there is one line for each beginning.
func begin(lines, beginnings []string) bool {
	for _, beginning := range beginnings {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, beginning) }) {
			return false
		}
	}
	return len(lines) == len(beginnings)
}

// all joins edits.
func all(edits ...edit) edit {
	return func(job *batchv1.Job) {
		for _, edit := range edits {
			edit(job)
		}
	}
}
