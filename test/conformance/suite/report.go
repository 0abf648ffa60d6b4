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

package suite

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"sigs.k8s.io/yaml"
)

// Report tells how a server did, in a form that can be compared: it has no times and no addresses, and its parts are in order.
type Report struct {
	// Target is the name of the server and Version its version, as kubectl version shows it.
	Target  string `json:"target"`
	Version string `json:"version"`
	// Runs are the runs of profiles and groups.
	Runs []RunReport `json:"runs"`
}

// RunReport tells how the tests of one profile went through one group.
type RunReport struct {
	Profile  Profile       `json:"profile"`
	Group    string        `json:"group"`
	Features []Feature     `json:"features"`
	Summary  Summary       `json:"summary"`
	Tests    []TestReport  `json:"tests"`
	results  []Result      `json:"-"`
	duration time.Duration `json:"-"`
}

// Summary counts outcomes.
type Summary struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
}

// TestReport tells how one test went.
type TestReport struct {
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	// Reason says why the test was skipped, or names the defect of Kubernetes that the test is known to fail for.
	Reason string `json:"reason,omitempty"`
}

// NewRunReport makes the report of a run.
func NewRunReport(run *Run, results []Result, duration time.Duration) RunReport {
	report := RunReport{
		Profile: run.Profile, Group: run.target.Jobs.GroupVersion().String(), Features: run.target.Features(),
		results: results, duration: duration,
	}
	for _, result := range results {
		entry := TestReport{Name: result.Test.Name, Outcome: result.Outcome}
		switch result.Outcome {
		case Pass:
			report.Summary.Passed++
		case Fail:
			report.Summary.Failed++
			if result.Known {
				entry.Reason = result.Test.UpstreamBug
			}
		case Skip:
			report.Summary.Skipped++
			entry.Reason = strings.Join(result.Messages, "; ")
		}
		report.Tests = append(report.Tests, entry)
	}
	return report
}

// Failed are the tests that failed, but those that Kubernetes is known to fail.
func (r RunReport) Failed() (failed []Result) {
	for _, result := range r.results {
		if result.Outcome == Fail && !result.Known {
			failed = append(failed, result)
		}
	}
	return failed
}

// WriteYAML writes the report.
func (r Report) WriteYAML(w io.Writer) error {
	text, err := yaml.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	_, err = w.Write(text)
	return err
}

// ReadReport reads what WriteYAML wrote.
func ReadReport(text []byte) (report Report, _ error) {
	if err := yaml.UnmarshalStrict(text, &report); err != nil {
		return report, fmt.Errorf("decode the report: %w", err)
	}
	return report, nil
}

// Differences says where the runs that two reports share differ: tests that only one of them has, and outcomes. It does not look at
// versions, features and reasons.
func (r Report) Differences(other Report) (differences []string) {
	for _, run := range r.Runs {
		at := slices.IndexFunc(other.Runs, func(o RunReport) bool { return o.Profile == run.Profile && o.Group == run.Group })
		if at < 0 {
			continue
		}
		outcomes := map[string]Outcome{}
		for _, test := range other.Runs[at].Tests {
			outcomes[test.Name] = test.Outcome
		}
		for _, test := range run.Tests {
			if outcome := cmp.Or(outcomes[test.Name], "absent"); outcome != test.Outcome {
				differences = append(differences, fmt.Sprintf("%s %s %s: %s, not %s", run.Profile, run.Group, test.Name, outcome, test.Outcome))
			}
			delete(outcomes, test.Name)
		}
		for _, name := range slices.Sorted(maps.Keys(outcomes)) {
			differences = append(differences, fmt.Sprintf("%s %s %s: %s, not absent", run.Profile, run.Group, name, outcomes[name]))
		}
	}
	return differences
}

// WriteTable writes the results by subject, the tests that failed or were skipped by name, and a summary.
func (r Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(table, "%s %s\n\n", r.Target, r.Version)
	fmt.Fprintln(table, "PROFILE\tGROUP\tPASSED\tFAILED\tSKIPPED\tTIME")
	for _, run := range r.Runs {
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%s\n", run.Profile, run.Group,
			run.Summary.Passed, run.Summary.Failed, run.Summary.Skipped, run.duration.Round(time.Second))
	}
	for _, run := range r.Runs {
		for _, result := range run.results {
			if result.Outcome == Pass {
				continue
			}
			fmt.Fprintf(table, "\n%s\t%s %s\t%s\n", strings.ToUpper(string(result.Outcome)), run.Profile, run.Group, result.Test.Name)
			if result.Outcome == Fail {
				fmt.Fprintf(table, "  %s (%s)\n", result.Test.Description, result.Test.Source)
			}
			if result.Known {
				fmt.Fprintf(table, "  known of Kubernetes: %s\n", result.Test.UpstreamBug)
			}
			for _, message := range result.Messages {
				fmt.Fprintf(table, "  %s\n", strings.ReplaceAll(message, "\n", "\n  "))
			}
		}
	}
	return table.Flush()
}

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string     `xml:"classname,attr"`
	Name    string     `xml:"name,attr"`
	Time    string     `xml:"time,attr"`
	Failure *junitText `xml:"failure,omitempty"`
	Skipped *junitText `xml:"skipped,omitempty"`
	Log     string     `xml:"system-out,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the report in the XML that CI systems read.
func (r Report) WriteJUnit(w io.Writer) error {
	var all junitSuites
	for _, run := range r.Runs {
		group := junitSuite{
			Name: fmt.Sprintf("conformance %s %s", run.Profile, run.Group), Tests: len(run.results),
			Failures: run.Summary.Failed, Skipped: run.Summary.Skipped, Time: seconds(run.duration),
			Properties: []junitProperty{{"target", r.Target}, {"version", r.Version}},
		}
		for _, result := range run.results {
			group.Cases = append(group.Cases, junitResult(result))
		}
		all.Suites = append(all.Suites, group)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func junitResult(result Result) junitCase {
	subject, name, _ := strings.Cut(result.Test.Name, "/")
	entry := junitCase{Class: subject, Name: name, Time: seconds(result.Duration), Log: strings.Join(result.Log, "\n")}
	text := &junitText{Message: result.Test.Description, Text: strings.Join(result.Messages, "\n")}
	switch result.Outcome {
	case Fail:
		entry.Failure = text
	case Skip:
		entry.Skipped = text
	}
	return entry
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
