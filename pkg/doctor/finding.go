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
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Verdict is what came out for one link.
type Verdict string

const (
	// Good: the link works.
	Good Verdict = "ok"
	// Bad: the link is broken, or will be soon.
	Bad Verdict = "bad"
	// Unknown: it could not be found out, because an earlier link is broken or this machine can't look there.
	Unknown Verdict = "unknown"
)

// printed are what people read: what is bad stands out.
var printed = map[Verdict]string{Good: "ok", Bad: "BAD", Unknown: "?"}

// Finding is the verdict on one link.
type Finding struct {
	// Link is a few words on what was examined.
	Link    string  `json:"link"`
	Verdict Verdict `json:"verdict"`
	// Detail is one sentence on what was found.
	Detail string `json:"detail"`
	// Cure is not empty where the verdict is Bad, and empty where it is not.
	Cure
}

// Cure is what mends a link.
type Cure struct {
	// Mend are commands for a shell, in the order in which they are run: in a folder with the manifests (artifacts/) of the version that runs,
	// as an administrator.
	Mend []string `json:"mend,omitempty"`
	// Advice is what has to be known beside the commands, or what to do where no command does it.
	Advice string `json:"advice,omitempty"`
}

func mend(commands ...string) Cure { return Cure{Mend: commands} }

func advise(format string, args ...any) Cure { return mend().noting(format, args...) }

// noting adds advice.
func (c Cure) noting(format string, args ...any) Cure {
	c.Advice = fmt.Sprintf(format, args...)
	return c
}

func good(format string, args ...any) Finding {
	return Finding{Verdict: Good, Detail: fmt.Sprintf(format, args...)}
}

func unknown(format string, args ...any) Finding {
	return Finding{Verdict: Unknown, Detail: fmt.Sprintf(format, args...)}
}

func bad(cure Cure, format string, args ...any) Finding {
	return Finding{Verdict: Bad, Detail: fmt.Sprintf(format, args...), Cure: cure}
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

// Print writes a line for each finding, and under a bad one the commands that mend it and what else to know.
func Print(out io.Writer, findings []Finding) error {
	width := 0
	for _, finding := range findings {
		width = max(width, len(finding.Link))
	}
	var text strings.Builder
	below := func(label, content string) {
		indent := fmt.Sprintf("\n     %*s", width+2+len(label), "")
		fmt.Fprintf(&text, "     %*s  %s%s\n", width, "", label, strings.ReplaceAll(content, "\n", indent))
	}
	for _, finding := range findings {
		fmt.Fprintf(&text, "%-3s  %-*s  %s\n", printed[finding.Verdict], width, finding.Link, finding.Detail)
		for _, command := range finding.Mend {
			below("mend: ", command)
		}
		if finding.Advice != "" {
			below("note: ", finding.Advice)
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// PrintJSON writes an object with two fields: healthy, as Healthy says, and findings.
func PrintJSON(out io.Writer, findings []Finding) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Healthy  bool      `json:"healthy"`
		Findings []Finding `json:"findings"`
	}{Healthy(findings), findings})
}
