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

package controllers

import (
	"strings"
	"testing"
)

func TestEnabled(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		list []string
		name string
		want bool
	}{
		"all":                             {list: []string{"*"}, name: Job, want: true},
		"none":                            {list: nil, name: Job},
		"all but it":                      {list: []string{"*", "-job-controller"}, name: Job},
		"all but it, the other way round": {list: []string{"-job-controller", "*"}, name: Job},
		"all but another":                 {list: []string{"*", "-node-agent"}, name: Job, want: true},
		"by its short name":               {list: []string{"job"}, name: Job, want: true},
		"off by its short name":           {list: []string{"*", "-garbagecollector"}, name: GarbageCollector},
		"only another":                    {list: []string{"node-agent"}, name: Job},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Enabled(test.name, test.list); got != test.want {
				t.Errorf("Enabled(%s, %v) = %v, want %v", test.name, test.list, got, test.want)
			}
		})
	}
}

func TestValidateSwitches(t *testing.T) {
	t.Parallel()
	for _, good := range append(StandaloneNames(), "*", "-node-agent", "job", "-ttl-after-finished") {
		if errs := ValidateSwitches([]string{good}, StandaloneNames()); len(errs) > 0 {
			t.Errorf("%s: %v", good, errs)
		}
	}
	for _, bad := range []string{"", "-", "cronjob", "-*", "--job"} {
		errs := ValidateSwitches([]string{bad}, StandaloneNames())
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), `"`+bad+`"`) {
			t.Errorf("%q: got %v, want one error that names it", bad, errs)
		}
	}
}
