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
	"fmt"
	"io"
	"strings"
)

// Verdict is what came out for one link.
type Verdict string

const (
	// Good: the link works.
	Good Verdict = "ok"
	// Bad: the link is broken, or will be soon. Mend says what to do.
	Bad Verdict = "BAD"
	// Unknown: it could not be found out, because an earlier link is broken or this machine can't look there.
	Unknown Verdict = "?"
)

// Finding is the verdict on one link.
type Finding struct {
	// Link is a few words on what was examined.
	Link    string
	Verdict Verdict
	// Detail is one sentence on what was found.
	Detail string
	// Mend is a command, or what to do where no command does it. Empty unless Bad.
	Mend string
}

func good(format string, args ...any) Finding {
	return Finding{Verdict: Good, Detail: fmt.Sprintf(format, args...)}
}

func unknown(format string, args ...any) Finding {
	return Finding{Verdict: Unknown, Detail: fmt.Sprintf(format, args...)}
}

func bad(mend, format string, args ...any) Finding {
	return Finding{Verdict: Bad, Detail: fmt.Sprintf(format, args...), Mend: mend}
}

// Healthy says whether nothing is broken.
func Healthy(findings []Finding) bool {
	for _, finding := range findings {
		if finding.Verdict == Bad {
			return false
		}
	}
	return true
}

// Print writes a line for each finding, and under a bad one what mends it.
func Print(out io.Writer, findings []Finding) error {
	width := 0
	for _, finding := range findings {
		width = max(width, len(finding.Link))
	}
	var text strings.Builder
	for _, finding := range findings {
		fmt.Fprintf(&text, "%-3s  %-*s  %s\n", finding.Verdict, width, finding.Link, finding.Detail)
		if finding.Mend != "" {
			fmt.Fprintf(&text, "     %-*s  mend: %s\n", width, "", strings.ReplaceAll(finding.Mend, "\n", "\n"+strings.Repeat(" ", width+13)))
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}
