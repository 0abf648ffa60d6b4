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

// TestReports: each report has all tests, and none that failed but those that Kubernetes is known to fail.
func TestReports(t *testing.T) {
	t.Parallel()
	for file, kubernetes := range map[string]bool{
		"kubernetes-1.37.yaml": true, "standalone-batch.yaml": false, "standalone-batch.jobserver.dev.yaml": false,
	} {
		found := outcomes(read(t, file))
		for _, test := range tests.All() {
			switch outcome := found[test.Name]; {
			case outcome == "":
				t.Errorf("%s lacks %s: run make conformance and make conformance-kubernetes with UPDATE=1", file, test.Name)
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

// TestDifferences: the tests of batch/v1 that Kubernetes and jobserver do not do alike are the rows of the page on compatibility.
func TestDifferences(t *testing.T) {
	t.Parallel()
	const page = "../../../docs/concepts/compatibility.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var rows, differences []string
	for _, match := range row.FindAllStringSubmatch(string(text), -1) {
		rows = append(rows, match[1])
	}
	ours := outcomes(read(t, "standalone-batch.yaml"))
	for name, outcome := range outcomes(read(t, "kubernetes-1.37.yaml")) {
		if ours[name] != outcome {
			differences = append(differences, name)
		}
	}
	slices.Sort(rows)
	slices.Sort(differences)
	if !slices.Equal(rows, differences) {
		t.Errorf("the rows of %s are\n%s\nthe differences are\n%s", page, strings.Join(rows, "\n"), strings.Join(differences, "\n"))
	}
}

// TestReadme: the table in README shows what the reports say.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct{ file, server string }{
		{"kubernetes-1.37.yaml", "Kubernetes 1.37.2, `batch/v1`"},
		{"standalone-batch.yaml", "jobserver alone, `batch/v1`"},
		{"standalone-batch.jobserver.dev.yaml", "jobserver alone, `batch.jobserver.dev/v1`"},
	} {
		for _, run := range read(t, of.file).Runs {
			want := fmt.Sprintf("| %s | %s | %d | %d | %d |\n", of.server, run.Profile, run.Summary.Passed, run.Summary.Failed, run.Summary.Skipped)
			if !strings.Contains(string(text), want) {
				t.Errorf("README.md has no row %s", want)
			}
		}
	}
}
