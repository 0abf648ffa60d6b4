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

package conformance

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
	"github.com/jobserver-dev/jobserver/test/conformance/tests"
	"github.com/jobserver-dev/jobserver/test/framework"
)

var (
	kubeconfig = flag.String("kubeconfig", "", "kubeconfig of the server to judge; without one, a standalone jobserver in this process")
	profiles   = flag.String("profile", "api,node", "profiles to run, with commas between them")
	groups     = flag.String("group", "batch/v1,batch.jobserver.dev/v1", "groups and versions to judge the server by, with commas between them")
	lacks      = flag.String("lacks", "", "features that the server is known to lack, with commas between them")
	pattern    = flag.String("tests", "", "regular expression for the names of tests; default: all with -kubeconfig, and those of one subject without")
)

// smoke are the tests that run without -kubeconfig, where all of them would take minutes each time that somebody tests everything:
// make conformance runs all of them on the built server.
const smoke = "^Completion/"

// config leads to the server that is judged.
var config *rest.Config

func TestMain(m *testing.M) {
	flag.Parse()
	if *kubeconfig == "" {
		os.Exit(framework.Main(m, framework.Options{}, func(s *framework.Server) { config = s.Config() }))
	}
	os.Exit(m.Run())
}

// TestConformance runs the tests of each profile through each group. The name of a subtest is PROFILE/GROUP/Subject/Statement.
func TestConformance(t *testing.T) {
	if *kubeconfig != "" {
		var err error
		if config, err = clientcmd.BuildConfigFromFlags("", *kubeconfig); err != nil {
			t.Fatal(err)
		}
	}
	for _, profile := range strings.Split(*profiles, ",") {
		for _, group := range strings.Split(*groups, ",") {
			groupVersion, err := schema.ParseGroupVersion(group)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(profile+"/"+groupVersion.Group, func(t *testing.T) { judge(t, suite.Profile(profile), groupVersion) })
		}
	}
}

func judge(t *testing.T, profile suite.Profile, group schema.GroupVersion) {
	var missing []suite.Feature
	if *lacks != "" {
		for name := range strings.SplitSeq(*lacks, ",") {
			if !slices.Contains(suite.Features(), suite.Feature(name)) {
				t.Fatalf("-lacks: %q is none of %v", name, suite.Features())
			}
			missing = append(missing, suite.Feature(name))
		}
	}
	run, err := suite.Begin(t.Context(), config, group, profile, missing...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run.Close(t.Context()); err != nil {
			t.Errorf("the suite leaves something behind: %v", err)
		}
	})
	expression := *pattern
	if expression == "" && *kubeconfig == "" {
		expression = smoke
	}
	names, err := regexp.Compile(expression)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range suite.Select(tests.All(), profile) {
		if !names.MatchString(test.Name) {
			continue
		}
		t.Run(test.Name, func(t *testing.T) {
			t.Parallel()
			report(t, run.Test(t.Context(), test))
		})
	}
}

// report tells go test how a test of the suite went.
func report(t *testing.T, result suite.Result) {
	t.Helper()
	for _, line := range result.Log {
		t.Log(line)
	}
	text := strings.Join(result.Messages, "\n")
	switch {
	case result.Outcome == suite.Skip:
		t.Skip(text)
	case result.Known:
		t.Skipf("known of Kubernetes: %s\n%s", result.Test.UpstreamBug, text)
	case result.Outcome == suite.Fail:
		t.Errorf("%s (%s)\n%s", result.Test.Description, result.Test.Source, text)
	}
}
