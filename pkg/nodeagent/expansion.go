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

import "strings"

// expand replaces $(NAME) by what lookUp says, as Kubernetes does in command, args and env: a reference to a name that lookUp doesn't
// know stays as it is, $$ stands for one dollar sign (so that $$(NAME) is the text $(NAME)), and any other dollar sign for itself.
func expand(text string, lookUp func(name string) (string, bool)) string {
	if !strings.Contains(text, "$") {
		return text
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		text = rest
		if after, ok := strings.CutPrefix(rest, "$"); ok {
			out.WriteByte('$')
			text = after
			continue
		}
		name, after, ok := reference(rest)
		if !ok {
			out.WriteByte('$')
			continue
		}
		text = after
		if value, known := lookUp(name); known {
			out.WriteString(value)
		} else {
			out.WriteString("$(" + name + ")")
		}
	}
}

// reference splits "(NAME)rest" into the name and the rest.
func reference(text string) (name, rest string, ok bool) {
	text, ok = strings.CutPrefix(text, "(")
	if !ok {
		return "", "", false
	}
	return strings.Cut(text, ")")
}
