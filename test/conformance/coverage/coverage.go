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

// Package coverage knows what the conformance suite has to show: the statements of the guide and the rules of the reference. It tells which
// tests show what, and renders that as a page of the documentation.
package coverage

import (
	_ "embed"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

//go:embed guide.yaml
var guideText []byte

//go:embed reference.yaml
var referenceText []byte

// Section is a section of the guide.
type Section struct {
	// Section is its number.
	Section    string      `json:"section"`
	Title      string      `json:"title"`
	Statements []Statement `json:"statements"`
}

// Statement is something that the guide says.
type Statement struct {
	Says string `json:"says"`
	// Tests are the names of the tests that show it. Each has the section as its source.
	Tests []string `json:"tests,omitempty"`
	// Unseen is why no test can; then there are no Tests.
	Unseen string `json:"unseen,omitempty"`
	// Differs is what holds instead, or besides.
	Differs string `json:"differs,omitempty"`
}

// Chapter is a group of rules of the reference.
type Chapter struct {
	Title string `json:"title"`
	Rules []Rule `json:"rules"`
}

// Rule is a rule of the reference. The tests that have it as their source show it.
type Rule struct {
	// Rule is its number, such as B24, or that of the section that it is, such as 1.13.
	Rule string `json:"rule"`
	Says string `json:"says"`
	// Unseen is why no test can show it; then none has it as its source.
	Unseen string `json:"unseen,omitempty"`
}

// Guide returns the sections of the guide.
func Guide() (all []Section, _ error) { return all, yaml.UnmarshalStrict(guideText, &all) }

// Reference returns the chapters of the reference.
func Reference() (all []Chapter, _ error) { return all, yaml.UnmarshalStrict(referenceText, &all) }

// others are the sources of tests that are neither the guide nor the reference.
var others = regexp.MustCompile(`^(KEP-\d+|API conventions|Pod lifecycle|Pod environment)$`)

var (
	separators = regexp.MustCompile(`, | and `)
	section    = regexp.MustCompile(`^\d+$`)
	rule       = regexp.MustCompile(`^([12]\.\d+|[BSJM]\d+)$`)
	qualifier  = regexp.MustCompile(`^(table|matrix|pattern \d)$`)
)

// Cited takes a test's source apart: the sections of the guide and the rules of the reference that it names.
func Cited(source string) (sections, rules []string, _ error) {
	for part := range strings.SplitSeq(source, "; ") {
		of, numbers, _ := strings.Cut(part, " ")
		switch {
		case of == "guide":
			for _, number := range separators.Split(numbers, -1) {
				switch {
				case section.MatchString(number):
					sections = append(sections, number)
				case !qualifier.MatchString(number):
					return nil, nil, fmt.Errorf("%q is no section of the guide", number)
				}
			}
		case of == "reference":
			for _, number := range separators.Split(numbers, -1) {
				if !rule.MatchString(number) {
					return nil, nil, fmt.Errorf("%q is no rule of the reference", number)
				}
				rules = append(rules, number)
			}
		case !others.MatchString(part):
			return nil, nil, fmt.Errorf("the source %q is not known", part)
		}
	}
	return sections, rules, nil
}

// Map tells which tests show what.
type Map struct {
	guide     []Section
	reference []Chapter
	// sections and rules have the names of the tests that name each as their source.
	sections, rules map[string][]string
}

// Of returns the map of some tests, and what is wrong with it: what no test shows, and sources that there are not.
func Of(tests []suite.Test) (*Map, []string, error) {
	m := &Map{sections: map[string][]string{}, rules: map[string][]string{}}
	var err error
	if m.guide, err = Guide(); err != nil {
		return nil, nil, fmt.Errorf("read the list of the guide's statements: %w", err)
	}
	if m.reference, err = Reference(); err != nil {
		return nil, nil, fmt.Errorf("read the list of the reference's rules: %w", err)
	}
	var wrong []string
	for _, test := range tests {
		sections, rules, err := Cited(test.Source)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", test.Name, err))
		}
		for _, section := range sections {
			m.sections[section] = append(m.sections[section], test.Name)
		}
		for _, rule := range rules {
			m.rules[rule] = append(m.rules[rule], test.Name)
		}
	}
	return m, slices.Concat(wrong, m.checkGuide(), m.checkReference()), nil
}

func (m *Map) checkGuide() (wrong []string) {
	known := map[string]bool{}
	for _, section := range m.guide {
		known[section.Section] = true
		for _, statement := range section.Statements {
			where := fmt.Sprintf("guide %s, %q", section.Section, statement.Says)
			if (len(statement.Tests) == 0) == (statement.Unseen == "") {
				wrong = append(wrong, where+": it has either tests or the reason why there can be none")
			}
			for _, test := range statement.Tests {
				if !slices.Contains(m.sections[section.Section], test) {
					wrong = append(wrong, fmt.Sprintf("%s: there is no test %s with the source guide %s", where, test, section.Section))
				}
			}
		}
	}
	for section, tests := range m.sections {
		if !known[section] {
			wrong = append(wrong, fmt.Sprintf("the guide has no section %s, which %v name", section, tests))
		}
	}
	return wrong
}

func (m *Map) checkReference() (wrong []string) {
	known := map[string]bool{}
	for _, chapter := range m.reference {
		for _, rule := range chapter.Rules {
			if known[rule.Rule] {
				wrong = append(wrong, "reference "+rule.Rule+": it stands twice in the list")
			}
			known[rule.Rule] = true
			if tests := m.rules[rule.Rule]; (len(tests) == 0) == (rule.Unseen == "") {
				wrong = append(wrong, fmt.Sprintf("reference %s: it has either tests or the reason why there can be none; there are %v", rule.Rule, tests))
			}
		}
	}
	for rule, tests := range m.rules {
		if !known[rule] {
			wrong = append(wrong, fmt.Sprintf("the reference has no rule %s, which %v name", rule, tests))
		}
	}
	return wrong
}

// Write writes the map as a page in Markdown.
func (m *Map) Write(out io.Writer) error {
	var page strings.Builder
	page.WriteString(head)
	for _, section := range m.guide {
		fmt.Fprintf(&page, "\n### %s. %s\n\n| the guide says | shown by |\n|---|---|\n", section.Section, section.Title)
		for _, statement := range section.Statements {
			shown := shownBy(statement.Tests, statement.Unseen)
			if statement.Differs != "" {
				shown += "<br>" + sentence(statement.Differs)
			}
			fmt.Fprintf(&page, "| %s | %s |\n", statement.Says, shown)
		}
	}
	page.WriteString("\n## The reference\n")
	for _, chapter := range m.reference {
		fmt.Fprintf(&page, "\n### %s\n\n| rule | what | shown by |\n|---|---|---|\n", chapter.Title)
		for _, rule := range chapter.Rules {
			fmt.Fprintf(&page, "| %s | %s | %s |\n", rule.Rule, rule.Says, shownBy(m.rules[rule.Rule], rule.Unseen))
		}
	}
	_, err := io.WriteString(out, page.String())
	return err
}

const head = `# What the conformance suite covers

<!-- Written by UPDATE=1 go test ./test/conformance/coverage, from the sources of the tests and the lists in that folder. -->

The [conformance suite](conformance.md) has a test for each statement of the guide to Jobs and for each rule of Kubernetes 1.37 that a client can see. Both are
listed here with their tests; where there is none, the reason why. A test of ours fails where something is missing.

## The guide
`

// shownBy is a cell: tests, or the reason why there are none.
func shownBy(tests []string, unseen string) string {
	if unseen != "" {
		return "*not to be seen:* " + unseen
	}
	names := make([]string, len(tests))
	for i, test := range tests {
		names[i] = "`" + test + "`"
	}
	return strings.Join(names, ", ")
}

func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
