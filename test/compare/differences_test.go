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
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// A difference is one that we want. Each is a row of docs/concepts/compatibility.md, and has a test that fails where it is gone.
type difference struct {
	name  string
	holds func(upstream, ours outcome) bool // is this the difference between the two?
}

var differences = []difference{
	{
		// Upstream reads *spec.completions of an Indexed Job with a successPolicy before it has made sure that there are any. There a
		// client gets status 500; here, the error that upstream means.
		name: "successPolicy of an Indexed Job without completions",
		holds: func(upstream, ours outcome) bool {
			return strings.Contains(upstream.Panic, "nil pointer dereference") && ours.Panic == "" &&
				slices.Contains(ours.Errors, "FieldValueRequired spec.completions: Required value: when completion mode is Indexed")
		},
	},
}

// mismatch returns how our outcome differs from upstream's; empty where it doesn't, or as it should.
func mismatch(upstream, ours outcome) string {
	if cmp.Equal(upstream, ours) && ours.Panic == "" {
		return ""
	}
	for _, difference := range differences {
		if difference.holds(upstream, ours) {
			return ""
		}
	}
	return explain(upstream, ours)
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
