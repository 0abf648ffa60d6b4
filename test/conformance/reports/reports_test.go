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

// Package reports has the committed reports of the conformance suite, and tests of what they say.
package reports

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
	"github.com/jobserver-dev/jobserver/test/conformance/tests"
)

func read(t *testing.T, file string) suite.Report {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	report, err := suite.ReadReport(text)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// outcomes are the outcomes of all tests of a report, by name.
func outcomes(report suite.Report) map[string]suite.Outcome {
	all := map[string]suite.Outcome{}
	for _, run := range report.Runs {
		for _, test := range run.Tests {
			all[test.Name] = test.Outcome
		}
	}
	return all
}

// committed are the reports, with what README calls the servers.
var committed = []struct {
	file, server string
	kubernetes   bool
}{
	{"kubernetes-1.37.yaml", "Kubernetes 1.37.2, `batch/v1`", true},
	{"standalone-batch.yaml", "jobserver alone, `batch/v1`", false},
	{"standalone-batch.jobserver.dev.yaml", "jobserver alone, `batch.jobserver.dev/v1`", false},
	{"aggregated-batch.yaml", "jobserver in the place of a cluster's `batch/v1`", false},
	{"aggregated-batch.jobserver.dev.yaml", "jobserver beside a cluster, `batch.jobserver.dev/v1`", false},
}

// TestReports: each report has all tests, and none that failed but those that Kubernetes is known to fail.
func TestReports(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) != len(committed) {
		t.Errorf("there are the reports %v, %v; want %d", files, err, len(committed))
	}
	for _, of := range committed {
		file, kubernetes := of.file, of.kubernetes
		found := outcomes(read(t, file))
		for _, test := range tests.All() {
			switch outcome := found[test.Name]; {
			case outcome == "":
				t.Errorf("%s lacks %s: run make conformance, conformance-kubernetes and conformance-aggregated with UPDATE=1", file, test.Name)
			case outcome == suite.Fail && !(kubernetes && test.UpstreamBug != ""):
				t.Errorf("%s: %s fails", file, test.Name)
			case outcome != suite.Fail && kubernetes && test.UpstreamBug != "":
				t.Errorf("%s: %s passes, so the defect that it names is none", file, test.Name)
			}
			delete(found, test.Name)
		}
		for name := range found {
			t.Errorf("%s has %s, which is no test any more", file, name)
		}
	}
}

var row = regexp.MustCompile("(?m)^\\| `([A-Za-z0-9]+/[A-Za-z0-9]+)` \\|")

// TestDifferences: the tests that servers do not do alike are the rows of the page on compatibility: those of batch/v1 that Kubernetes and jobserver
// don't, and those of our own group that jobserver alone and beside a cluster don't.
func TestDifferences(t *testing.T) {
	t.Parallel()
	const page = "../../../docs/concepts/compatibility.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Where the conformance reports differ\n")
	section, _, _ = strings.Cut(section, "\n## ")
	kube, own, split := strings.Cut(section, "\n### Our own group")
	if !found || !split {
		t.Fatalf("%s lacks the sections", page)
	}
	for _, of := range []struct {
		section string
		files   []string
	}{
		{kube, []string{"kubernetes-1.37.yaml", "standalone-batch.yaml", "aggregated-batch.yaml"}},
		{own, []string{"standalone-batch.jobserver.dev.yaml", "aggregated-batch.jobserver.dev.yaml"}},
	} {
		var rows []string
		for _, match := range row.FindAllStringSubmatch(of.section, -1) {
			rows = append(rows, match[1])
		}
		slices.Sort(rows)
		if want := differences(t, of.files[0], of.files[1:]...); !slices.Equal(rows, want) {
			t.Errorf("the rows of %s are\n%s\nthe differences of %v are\n%s", page, strings.Join(rows, "\n"), of.files, strings.Join(want, "\n"))
		}
	}
}

// differences are the tests that have another outcome in one of the other files than in the first, in order.
func differences(t *testing.T, first string, others ...string) (names []string) {
	t.Helper()
	for _, other := range others {
		theirs := outcomes(read(t, other))
		for name, outcome := range outcomes(read(t, first)) {
			if theirs[name] != outcome {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// TestReadme: the table in README shows what the reports say.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range committed {
		for _, run := range read(t, of.file).Runs {
			want := fmt.Sprintf("| %s | %s | %d | %d | %d |\n", of.server, run.Profile, run.Summary.Passed, run.Summary.Failed, run.Summary.Skipped)
			if !strings.Contains(string(text), want) {
				t.Errorf("README.md has no row %s", want)
			}
		}
	}
}
