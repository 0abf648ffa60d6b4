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

package doctor

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestHealthy(t *testing.T) {
	t.Parallel()
	for _, finding := range judge(options, healthy(t)) {
		if finding.Verdict != Good || finding.cured() != "" {
			t.Errorf("%s: %+v", finding.Link, finding)
		}
	}
}

// cured is all that a finding says on what mends it.
func (f Finding) cured() string {
	return strings.TrimSpace(strings.Join(append(slices.Clone(f.Mend), f.Advice), "\n"))
}

// breakage is one thing that is wrong with an installation.
type breakage struct {
	change func(t *testing.T, f *Facts)
	// want are the links that are not good then.
	want map[string]verdict
}

// verdict is of one link, with words of its detail and of what mends it.
type verdict struct {
	verdict      Verdict
	detail, mend string
}

// TestJudge breaks one thing at a time.
func TestJudge(t *testing.T) {
	t.Parallel()
	all := map[string]breakage{}
	for _, some := range []map[string]breakage{brokenRegistration, brokenCertificates, brokenServing, brokenRequests} {
		maps.Copy(all, some)
	}
	for name, test := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts := healthy(t)
			test.change(t, &facts)
			for _, finding := range judge(options, facts) {
				want, broken := test.want[finding.Link]
				if !broken {
					want.verdict = Good
				}
				if finding.Verdict != want.verdict || !strings.Contains(finding.Detail, want.detail) || !strings.Contains(finding.cured(), want.mend) {
					t.Errorf("%s: got %+v, want %+v", finding.Link, finding, want)
				}
				if (finding.Verdict == Bad) != (finding.cured() != "") {
					t.Errorf("%s: a bad finding, and no other, says what mends it: %+v", finding.Link, finding)
				}
			}
		})
	}
}
