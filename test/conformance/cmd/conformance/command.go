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

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
	"github.com/jobserver-dev/jobserver/test/conformance/tests"
)

// errNonconformant: the server was judged, and failed.
var errNonconformant = errors.New("the server does not conform")

// options are the flags of the command.
type options struct {
	kubeconfig, context string
	profiles, groups    []string
	lacks               []string
	pattern             string
	parallel            int
	target              string
	report, junit       string
	controllers         string
	controllersCA       string
	expect              string
	wait                time.Duration
	list, keep          bool
}

func newCommand() *cobra.Command {
	o := options{}
	command := &cobra.Command{
		Use:   "conformance",
		Short: "Judge a server of Jobs by the conformance suite",
		Long: `Runs the conformance suite against the server that a kubeconfig leads to, prints how it went, and leaves nothing behind in the server.

It needs the rights of an administrator: it creates namespaces, Jobs, Pods, and a Node that no kubelet is behind. Jobs of others are not touched.`,
		Example: `  conformance --kubeconfig admin.kubeconfig
  conformance --profile api,node --group batch/v1,batch.jobserver.dev/v1 --report report.yaml --junit junit.xml
  conformance --run 'Suspend/' --parallel 1`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(command *cobra.Command, _ []string) error {
			return o.run(command.Context(), command.OutOrStdout())
		},
	}
	flags := command.Flags()
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "Kubeconfig of the server. Default: $KUBECONFIG, or ~/.kube/config")
	flags.StringVar(&o.context, "context", "", "Context of the kubeconfig. Default: its current context")
	flags.StringSliceVar(&o.profiles, "profile", []string{string(suite.ProfileAPI)},
		"Profiles to run: api (the suite plays the kubelet; needs no node) and node (Pods really run)")
	flags.StringSliceVar(&o.groups, "group", []string{"batch/v1"}, "Groups and versions of Jobs to judge the server by: batch/v1, batch.jobserver.dev/v1")
	flags.StringSliceVar(&o.lacks, "lacks", nil,
		fmt.Sprintf("Features that the server is known to lack, although it seems to have them; tests that need one are skipped. They are %v", suite.Features()))
	flags.StringVar(&o.controllers, "controllers", "", "Address of the process whose metrics tell of Jobs, such as https://127.0.0.1:10257 of a controller manager. "+
		"Default: the server itself")
	flags.StringVar(&o.controllersCA, "controllers-ca", "", "File with the certificates that sign that of --controllers. Default: those of the kubeconfig")
	flags.StringVar(&o.pattern, "run", "", "Regular expression; only tests whose names match it are run")
	flags.IntVar(&o.parallel, "parallel", 4*runtime.GOMAXPROCS(0), "How many tests run at a time")
	flags.StringVar(&o.target, "name", "server", "Name of the server in reports")
	flags.StringVar(&o.report, "report", "", "File for the report in YAML")
	flags.StringVar(&o.junit, "junit", "", "File for the report in JUnit's XML")
	flags.StringVar(&o.expect, "expect", "", "File with a report in YAML that the server is to do like. A difference in the runs that both have fails the server, and nothing else does")
	flags.DurationVar(&o.wait, "wait", suite.DefaultWait, "How long a test waits for one thing to happen")
	flags.BoolVar(&o.keep, "keep", false, "Leave what the tests make in the server: for servers that are thrown away. Without it, all is removed, and the command waits until it is gone")
	flags.BoolVar(&o.list, "list", false, "Print the tests with their sources, and run none")
	return command
}

func (o *options) run(ctx context.Context, out io.Writer) error {
	plan, err := o.plan()
	if err != nil {
		return err
	}
	if o.list {
		return list(out, plan)
	}
	config, err := o.config()
	if err != nil {
		return err
	}
	report := suite.Report{Target: o.target}
	failed := false
	var left error
	for _, part := range plan {
		done, version, err := o.judge(ctx, config, part, out)
		if len(done.Tests) == 0 && err != nil {
			return fmt.Errorf("profile %s of %s: %w", part.profile, part.group, err)
		}
		left = errors.Join(left, err)
		report.Version = version
		report.Runs = append(report.Runs, done)
		failed = failed || len(done.Failed()) > 0
	}
	fmt.Fprintln(out)
	err = errors.Join(left, report.WriteTable(out), save(o.report, report.WriteYAML), save(o.junit, report.WriteJUnit))
	if err != nil {
		return err
	}
	if o.expect != "" {
		if failed, err = o.unexpected(report, out); err != nil {
			return err
		}
	}
	if failed {
		return errNonconformant
	}
	return nil
}

// unexpected prints where the server did not do as was expected, and tells whether there is something.
func (o *options) unexpected(report suite.Report, out io.Writer) (bool, error) {
	text, err := os.ReadFile(o.expect)
	if err != nil {
		return false, fmt.Errorf("--expect: %w", err)
	}
	want, err := suite.ReadReport(text)
	if err != nil {
		return false, fmt.Errorf("--expect %s: %w", o.expect, err)
	}
	pattern := regexp.MustCompile(o.pattern) // plan has seen that it is one
	for i := range want.Runs {
		want.Runs[i].Tests = slices.DeleteFunc(want.Runs[i].Tests, func(test suite.TestReport) bool { return !pattern.MatchString(test.Name) })
	}
	differences := want.Differences(report)
	for _, difference := range differences {
		fmt.Fprintf(out, "unexpected: %s\n", difference)
	}
	return len(differences) > 0, nil
}

// part is what is run in one go.
type part struct {
	profile suite.Profile
	group   schema.GroupVersion
	tests   []suite.Test
}

// plan checks the flags and returns what there is to run.
func (o *options) plan() (plan []part, _ error) {
	pattern, err := regexp.Compile(o.pattern)
	if err != nil {
		return nil, fmt.Errorf("--run: %w", err)
	}
	for _, name := range o.lacks {
		if !slices.Contains(suite.Features(), suite.Feature(name)) {
			return nil, fmt.Errorf("--lacks: %q is none of %v", name, suite.Features())
		}
	}
	if o.parallel < 1 {
		return nil, fmt.Errorf("--parallel: %d is less than 1", o.parallel)
	}
	for _, group := range o.groups {
		groupVersion, err := schema.ParseGroupVersion(group)
		if err != nil || groupVersion.Group == "" {
			return nil, fmt.Errorf("--group: %q is not a group and version, such as batch/v1", group)
		}
		for _, name := range o.profiles {
			profile := suite.Profile(name)
			if !slices.Contains(suite.Profiles(), profile) {
				return nil, fmt.Errorf("--profile: %q is none of %v", name, suite.Profiles())
			}
			selected := slices.DeleteFunc(suite.Select(tests.All(), profile),
				func(test suite.Test) bool { return !pattern.MatchString(test.Name) })
			if len(selected) > 0 {
				plan = append(plan, part{profile, groupVersion, selected})
			}
		}
	}
	if len(plan) == 0 {
		return nil, fmt.Errorf("--run: no test of these profiles and groups matches %q", o.pattern)
	}
	return plan, nil
}

// missing are the features that the server is said to lack.
func (o *options) missing() (features []suite.Feature) {
	for _, name := range o.lacks {
		features = append(features, suite.Feature(name))
	}
	return features
}

func list(out io.Writer, plan []part) error {
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "PROFILE\tGROUP\tNAME\tSOURCE\tDESCRIPTION")
	for _, part := range plan {
		for _, test := range part.tests {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", part.profile, part.group, test.Name, test.Source, test.Description)
		}
	}
	return table.Flush()
}

func (o *options) config() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	return config, nil
}

func (o *options) judge(ctx context.Context, config *rest.Config, part part, out io.Writer) (_ suite.RunReport, version string, err error) {
	run, err := suite.Begin(ctx, config, part.group, part.profile, o.missing()...)
	if err != nil {
		return suite.RunReport{}, "", err
	}
	if o.controllers != "" {
		if err := run.Target().UseMetrics(ctx, o.controllers, o.controllersCA); err != nil {
			return suite.RunReport{}, "", fmt.Errorf("--controllers: %w", err)
		}
	}
	run.Keep, run.Wait = o.keep, o.wait
	started := time.Now()
	results := run.All(ctx, part.tests, o.parallel, func(result suite.Result) {
		fmt.Fprintf(out, "%-4s %6.1fs  %s %s  %s\n", result.Outcome, result.Duration.Seconds(), part.profile, part.group.Group, result.Test.Name)
	})
	err = run.Close(ctx)
	return suite.NewRunReport(run, results, time.Since(started)), run.Target().Version, err
}

// save writes a file, where it has a name.
func save(name string, write func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}
