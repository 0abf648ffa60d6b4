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
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

var nameForm = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*/[A-Z][A-Za-z0-9]*$`)

// TestRegistry: each test says what it states, where that comes from, and where it holds.
func TestRegistry(t *testing.T) {
	t.Parallel()
	seen, described := map[string]bool{}, map[string]string{}
	for _, test := range All() {
		if !nameForm.MatchString(test.Name) {
			t.Errorf("%s: the name is not of the form Subject/Statement", test.Name)
		}
		if seen[test.Name] {
			t.Errorf("%s: two tests have the name", test.Name)
		}
		seen[test.Name] = true
		if other, found := described[test.Description]; found {
			t.Errorf("%s: %s has the same description", test.Name, other)
		}
		described[test.Description] = test.Name
		if text := test.Description; !strings.HasSuffix(text, ".") || !unicode.IsUpper([]rune(text)[0]) && text[0] != '`' {
			t.Errorf("%s: the description is not a sentence: %q", test.Name, text)
		}
		if test.Source == "" || test.Run == nil {
			t.Errorf("%s: the test has no source or no code", test.Name)
		}
		if test.Profile != "" && !slices.Contains(suite.Profiles(), test.Profile) {
			t.Errorf("%s: there is no profile %q", test.Name, test.Profile)
		}
		if !slices.Contains([]string{"", suite.GroupKubernetes, suite.GroupJobserver}, test.Group) {
			t.Errorf("%s: there is no group %q", test.Name, test.Group)
		}
	}
}
