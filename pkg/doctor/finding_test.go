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
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPrint(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := Print(&out, []Finding{{Link: "cluster", Verdict: Good, Detail: "fine"}, {Link: "caBundle", Verdict: Bad, Detail: "gone", Cure: mend("do this", "then that").noting("think\ntwice")}}); err != nil {
		t.Fatal(err)
	}
	want := "ok   cluster   fine\nBAD  caBundle  gone\n               mend: do this\n               mend: then that\n               note: think\n                     twice\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("unexpected output (-want +got):\n%s", diff)
	}
}

func TestPrintJSON(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := PrintJSON(&out, []Finding{{Link: "cluster", Verdict: Good, Detail: "fine"}, {Link: "caBundle", Verdict: Bad, Detail: "gone", Cure: mend("a | b && c")}}); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Healthy  *bool
		Findings []map[string]any
	}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"link": "cluster", "verdict": "ok", "detail": "fine"},
		{"link": "caBundle", "verdict": "bad", "detail": "gone", "mend": []any{"a | b && c"}},
	}
	if diff := cmp.Diff(want, got.Findings); got.Healthy == nil || *got.Healthy || diff != "" {
		t.Errorf("unexpected output (-want +got):\n%s\n%s", diff, out.String())
	}
}
