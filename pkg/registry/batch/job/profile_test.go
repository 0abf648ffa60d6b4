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

package job

import (
	"strings"
	"testing"
)

func TestParseProfile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"kubernetes", "guide"} {
		if got, err := ParseProfile(name); err != nil || string(got) != name {
			t.Errorf("ParseProfile(%q) = %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "Kubernetes", "none"} {
		_, err := ParseProfile(name)
		if err == nil || !strings.Contains(err.Error(), "kubernetes") || !strings.Contains(err.Error(), "guide") {
			t.Errorf("error %v of %q, want one that lists the profiles", err, name)
		}
	}
}
