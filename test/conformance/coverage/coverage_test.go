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

package coverage

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
	"github.com/jobserver-dev/jobserver/test/conformance/tests"
)

const page = "../../../docs/concepts/conformance-coverage.md"

// TestCoverage: each statement of the guide and each rule of the reference has its tests, or the reason why there can be none.
func TestCoverage(t *testing.T) {
	t.Parallel()
	_, wrong, err := Of(tests.All())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range wrong {
		t.Error(line)
	}
}

// TestPage: the page on coverage says what is so. UPDATE=1 writes it anew.
func TestPage(t *testing.T) {
	t.Parallel()
	m, _, err := Of(tests.All())
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := m.Write(&want); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(page, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("%s is not up to date: run UPDATE=1 go test ./test/conformance/coverage (- wanted, + is):\n%s", page, diff)
	}
}

// TestGaps: what no test shows is found, and so are sources that there are not.
func TestGaps(t *testing.T) {
	t.Parallel()
	all := tests.All()
	without := func(name string) []suite.Test {
		return slices.DeleteFunc(slices.Clone(all), func(test suite.Test) bool { return test.Name == name })
	}
	with := func(source string) []suite.Test {
		return append(slices.Clone(all), suite.Test{Name: "Made/Up", Source: source})
	}
	for _, of := range []struct {
		name  string
		tests []suite.Test
		want  string
	}{
		{"no test of a statement", without("WorkQueue/WorkerPool"),
			`guide 13, "Without completions a Job is never complete.": there is no test WorkQueue/WorkerPool with the source guide 13`},
		{"no test of a rule", without("BackoffLimitPerIndex/GlobalLimit"), "reference B65: it has either tests or the reason why there can be none; there are []"},
		{"a test of what can't be seen", with("reference B78"), "reference B78: it has either tests or the reason why there can be none; there are [Made/Up]"},
		{"a section that there is not", with("guide 99"), "the guide has no section 99, which [Made/Up] name"},
		{"a rule that there is not", with("KEP-1; reference B86"), "the reference has no rule B86, which [Made/Up] name"},
		{"no rule", with("reference B3 and so on"), `Made/Up: "so on" is no rule of the reference`},
		{"no section", with("guide 5, table, chair"), `Made/Up: "chair" is no section of the guide`},
		{"no source", with("hearsay"), `Made/Up: the source "hearsay" is not known`},
	} {
		_, wrong, err := Of(of.tests)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(wrong, of.want) {
			t.Errorf("%s: found %q, want %q among it", of.name, wrong, of.want)
		}
	}
}
