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

package mutants

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/jobserver-dev/jobserver/test/conformance/tests"
)

const root = "../../.."

// TestList: each mutant is an edit that can be made, and is judged by tests that there are.
func TestList(t *testing.T) {
	t.Parallel()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Overlay(root, all); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, mutant := range all {
		if seen[mutant.Name] {
			t.Errorf("two mutants have the name %s", mutant.Name)
		}
		seen[mutant.Name] = true
		pattern, err := regexp.Compile(mutant.Tests)
		if err != nil || mutant.Rule == "" || mutant.Old == mutant.New {
			t.Errorf("%s: tests %q (%v), rule %q", mutant.Name, mutant.Tests, err, mutant.Rule)
			continue
		}
		found := false
		for _, test := range tests.All() {
			found = found || pattern.MatchString(test.Name) && (test.Group == "" || test.Group == mutant.Group)
		}
		if !found {
			t.Errorf("%s: no test matches %q", mutant.Name, mutant.Tests)
		}
	}
}

// TestResults: for each mutant, as it is now, there is a result, and somebody noticed it.
func TestResults(t *testing.T) {
	t.Parallel()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	results, err := ReadResults(filepath.Join(root, ResultsFile))
	if err != nil {
		t.Fatal(err)
	}
	names, byName := map[string]bool{}, map[string]Result{}
	for _, test := range tests.All() {
		names[test.Name] = true
	}
	for _, result := range results {
		byName[result.Name] = result
		for _, name := range result.Noticed {
			if !names[name] {
				t.Errorf("%s: there is no test %s any more", result.Name, name)
			}
		}
	}
	for _, mutant := range all {
		if result := byName[mutant.Name]; result.Edit != mutant.Edit() || len(result.Noticed) == 0 {
			t.Errorf("%s: no result, or one of another edit, or no test noticed it: run make mutants", mutant.Name)
		}
	}
}
