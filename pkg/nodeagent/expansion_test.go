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

package nodeagent

import "testing"

func TestExpand(t *testing.T) {
	t.Parallel()
	variables := map[string]string{"A": "a", "REF": "$(A)", "EMPTY": ""}
	lookUp := func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
	for text, want := range map[string]string{
		"":              "",
		"plain":         "plain",
		"$(A)":          "a",
		"x$(A)$(A)y":    "xaay",
		"$(EMPTY)":      "",
		"$(REF)":        "$(A)", // a value is not expanded again
		"$(UNKNOWN)":    "$(UNKNOWN)",
		"$$(A)":         "$(A)",
		"$$$(A)":        "$a",
		"$$":            "$",
		"$":             "$",
		"$A":            "$A",
		"$(A":           "$(A",
		"$(":            "$(",
		"$()":           "$()",
		"a$":            "a$",
		"$($(A))":       "$($(A))", // the name is "$(A"
		"${A} $(A) $ x": "${A} a $ x",
	} {
		if got := expand(text, lookUp); got != want {
			t.Errorf("expand(%q) = %q, want %q", text, got, want)
		}
	}
}
