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
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// A difference is one that we know of and stand by. Each is a row of the table for the Job API in docs/concepts/compatibility.md.
type difference struct {
	name    string                            // the row's first cell
	holds   func(upstream, ours outcome) bool // is this the difference between the two?
	example func() request                    // shows it
}

var differences = []difference{
	{
		// Upstream reads *spec.completions of an Indexed Job with a successPolicy before it has made sure that there are any. There a
		// client gets status 500; here, the error that upstream means.
		name: "`successPolicy` without `completions`",
		holds: func(upstream, ours outcome) bool {
			return strings.Contains(upstream.Panic, "nil pointer dereference") && ours.Panic == "" &&
				slices.Contains(ours.Errors, "FieldValueRequired spec.completions: Required value: when completion mode is Indexed")
		},
		example: func() request {
			job := newJob(successPolicy)
			job.Spec.Completions = nil
			return request{verb: create, job: job}
		},
	},
	{
		name: "`spec.scheduling`",
		holds: func(upstream, ours outcome) bool {
			return equal(withoutScheduling(upstream), withoutScheduling(ours))
		},
		example: func() request {
			return request{verb: update, job: stored(newJob(scheduling)), old: stored(newJob(scheduling))}
		},
	},
	{
		// It is alpha and off, and the only part of a Pod template with declarative rules that are not the handwritten ones again.
		name: "`spec.template.spec.evictionResponders`",
		holds: func(upstream, ours outcome) bool {
			upstream.Errors = slices.DeleteFunc(slices.Clone(upstream.Errors), func(line string) bool {
				return strings.Contains(line, " spec.template.spec.evictionResponders")
			})
			return len(ours.Errors) > 0 && equal(upstream, ours)
		},
		example: func() request {
			old := stored(newJob(podSpec(func(spec *corev1.PodSpec) { spec.EvictionResponders = []corev1.EvictionResponder{{Name: "mine"}} })))
			job := old.DeepCopy()
			job.Spec.Template.Spec.EvictionResponders[0].Name = "other"
			return request{verb: update, job: job, old: old}
		},
	},
	{
		name: "`metadata.managedFields[].apiVersion`",
		holds: func(upstream, ours outcome) bool {
			for _, object := range []*string{&ours.Prepared, &ours.Accepted} {
				*object = strings.ReplaceAll(*object, `"apiVersion":"batch.jobserver.dev/v1"`, `"apiVersion":"batch/v1"`)
			}
			return equal(upstream, ours)
		},
		example: func() request { return request{verb: create, job: newJob(managedFields)} },
	},
	{
		// Which are the first, upstream leaves to chance where it ranges over maps.
		name: "more than 10,000 errors",
		holds: func(upstream, ours outcome) bool {
			const note = ": only the first 10000 errors are shown"
			told := map[string]bool{}
			for _, line := range upstream.Errors {
				told[line] = true
			}
			more := slices.IndexFunc(ours.Errors, func(line string) bool {
				return strings.HasPrefix(line, "FieldValueTooMany ") && strings.HasSuffix(line, note)
			})
			if more < 0 {
				return false
			}
			first := slices.Delete(slices.Clone(ours.Errors), more, more+1)
			if slices.ContainsFunc(first, func(line string) bool { return !told[line] }) {
				return false
			}
			ours.Errors = upstream.Errors
			return equal(upstream, ours)
		},
		example: func() request {
			return request{verb: create, job: newJob(podSpec(func(spec *corev1.PodSpec) {
				spec.Containers[0].Env = make([]corev1.EnvVar, 10_001)
			}))}
		},
	},
}

// withoutScheduling leaves spec.scheduling out of what a side made of a request.
func withoutScheduling(out outcome) outcome {
	for _, object := range []*string{&out.Decoded, &out.Prepared, &out.Accepted} {
		if value, ok := fromJSON(*object).(map[string]any); ok {
			delete(value["spec"].(map[string]any), "scheduling")
			*object = toJSON(value)
		}
	}
	return out
}

// mismatch returns how our outcome differs from upstream's; empty where it doesn't, or as it should.
func mismatch(upstream, ours outcome) string {
	if equal(upstream, ours) {
		return ""
	}
	for _, difference := range differences {
		if difference.holds(upstream, ours) {
			return ""
		}
	}
	return explain(upstream, ours)
}

// equal is never true of panics, not even of equal ones.
func equal(upstream, ours outcome) bool {
	return upstream.Panic == "" && cmp.Equal(upstream, ours)
}

// explain shows what differs, of each object only the fields that do.
func explain(upstream, ours outcome) string {
	if upstream.Panic != "" || ours.Panic != "" {
		return fmt.Sprintf("panics: Kubernetes %q, jobserver %q\nerrors here: %q\n", upstream.Panic, ours.Panic, ours.Errors)
	}
	var text strings.Builder
	for _, part := range []struct{ name, upstream, ours string }{
		{"defaulted", upstream.Defaulted, ours.Defaulted},
		{"decoded", upstream.Decoded, ours.Decoded},
		{"prepared", upstream.Prepared, ours.Prepared},
		{"accepted", upstream.Accepted, ours.Accepted},
		{"row", upstream.Row, ours.Row},
		{"selected", upstream.Selected, ours.Selected},
	} {
		if part.upstream != part.ours {
			fmt.Fprintf(&text, "%s (-Kubernetes +jobserver):\n%s", part.name, cmp.Diff(fromJSON(part.upstream), fromJSON(part.ours)))
		}
	}
	if diff := cmp.Diff(upstream.Errors, ours.Errors); diff != "" {
		fmt.Fprintf(&text, "errors (-Kubernetes +jobserver):\n%s", diff)
	}
	if diff := cmp.Diff(upstream.Warnings, ours.Warnings); diff != "" {
		fmt.Fprintf(&text, "warnings (-Kubernetes +jobserver):\n%s", diff)
	}
	return text.String()
}

// fromJSON decodes an object to compare it field by field; what is none stays text.
func fromJSON(text string) any {
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return text
	}
	return value
}

// TestDifferences fails where a difference is gone, and where the documentation has others than the comparison.
func TestDifferences(t *testing.T) {
	upstream, ours := sides(t)
	synctest.Test(t, func(t *testing.T) {
		for _, difference := range differences {
			theirs, here := upstream.run(difference.example()), ours.run(difference.example())
			if equal(theirs, here) {
				t.Errorf("%s: there is no difference any more", difference.name)
			} else if !difference.holds(theirs, here) {
				t.Errorf("%s: another difference:\n%s", difference.name, explain(theirs, here))
			}
		}
	})
	if diff := cmp.Diff(documented(t), known()); diff != "" {
		t.Errorf("the documentation differs (-documented +compared):\n%s", diff)
	}
}

func known() []string {
	var names []string
	for _, difference := range differences {
		names = append(names, difference.name)
	}
	slices.Sort(names)
	return names
}

// documented returns the first cells of the table for the Job API.
func documented(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/concepts/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## The Job API\n")
	if !found {
		t.Fatal("docs/concepts/compatibility.md has no section for the Job API")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var names []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \|`).FindAllStringSubmatch(section, -1) {
		if name := row[1]; name != "what" && !strings.HasPrefix(name, "-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
