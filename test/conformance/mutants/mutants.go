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

// Package mutants has edits of jobserver's source, each of which breaks one rule: what a conformance suite is worth shows when
// it meets servers that are wrong. The command in test/conformance/cmd/mutants builds and judges them (make mutants).
package mutants

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// ResultsFile is the file with the results, from the root of the repository.
const ResultsFile = "test/conformance/mutants/results.yaml"

//go:embed mutants.yaml
var list []byte

// Mutant is one edit of one file.
type Mutant struct {
	// Name is unique. Rule is the rule that the edit breaks.
	Name string `json:"name"`
	Rule string `json:"rule"`
	// File is a path from the root of the repository. Old is text that is in it exactly once, in the body of a function; New takes its place.
	File string `json:"file"`
	Old  string `json:"old"`
	New  string `json:"new"`
	// Tests is a regular expression for the names of the tests that judge the mutant.
	Tests string `json:"tests"`
	// Group is the group by which the tests reach Jobs. Default: batch.
	Group string `json:"group,omitempty"`
}

// All returns all mutants in the order of the list.
func All() (all []Mutant, _ error) {
	if err := yaml.UnmarshalStrict(list, &all); err != nil {
		return nil, fmt.Errorf("read the list of mutants: %w", err)
	}
	for i := range all {
		if all[i].Group == "" {
			all[i].Group = "batch"
		}
	}
	return all, nil
}

// Edit is a short digest of the edit and of what judges it: a result holds for no other.
func (m Mutant) Edit() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{m.File, m.Old, m.New, m.Tests, m.Group}, "\x00")))
	return hex.EncodeToString(sum[:6])
}

// Result tells which tests noticed a mutant. None did where it survived.
type Result struct {
	Name    string   `json:"name"`
	Rule    string   `json:"rule"`
	Edit    string   `json:"edit"`
	Noticed []string `json:"noticed"`
}

// ReadResults reads results that were written; none where there is no such file.
func ReadResults(path string) (results []Result, _ error) {
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err == nil {
		err = yaml.UnmarshalStrict(text, &results)
	}
	return results, err
}

// WriteResults writes results in the order of names.
func WriteResults(path string, results []Result) error {
	slices.SortFunc(results, func(a, b Result) int { return strings.Compare(a.Name, b.Name) })
	text, err := yaml.Marshal(results)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append([]byte("# Which tests noticed each mutant of mutants.yaml. Written by make mutants.\n"), text...), 0o644)
}
