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

package options_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/jobserver-dev/jobserver/cmd/apiserver/app/options"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/controllers"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/standalone"
)

func TestServeValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want []string // parts of the error; none: valid
	}{
		"the least":                 {args: []string{"--standalone", "--data-dir=d"}},
		"no mode":                   {args: []string{"--data-dir=d"}, want: []string{"--kubeconfig", "--standalone"}},
		"beside a cluster":          {args: []string{"--kubeconfig=testdata/cluster.kubeconfig", "--data-dir=d"}},
		"its store elsewhere":       {args: []string{"--kubeconfig=testdata/cluster.kubeconfig", "--etcd-servers=http://127.0.0.1:2379"}},
		"an empty kubeconfig":       {args: []string{"--kubeconfig=/dev/null", "--data-dir=d"}, want: []string{"--kubeconfig", "no configuration"}},
		"no store":                  {args: []string{"--kubeconfig=/dev/null"}, want: []string{"--data-dir", "--etcd-servers"}},
		"no such kubeconfig":        {args: []string{"--kubeconfig=/no/such", "--data-dir=d"}, want: []string{"--kubeconfig", "/no/such"}},
		"of the other mode":         {args: []string{"--standalone", "--data-dir=d", "--kubeconfig=/dev/null", "--audit-log-path=-"}, want: []string{"--kubeconfig", "--audit-log-path", "with --standalone"}},
		"of standalone":             {args: []string{"--kubeconfig=/dev/null", "--data-dir=d", "--node-name=n", "--tls-san=a"}, want: []string{"--node-name", "--tls-san", "without --standalone"}},
		"controllers of standalone": {args: []string{"--kubeconfig=/dev/null", "--data-dir=d", "--controllers=node-agent"}, want: []string{"--controllers", `"node-agent"`}},
		"service":                   {args: []string{"--kubeconfig=/dev/null", "--data-dir=d", "--service-name=A", "--service-namespace=a.b", "--service-port=0"}, want: []string{"--service-name", `"A"`, "--service-namespace", `"a.b"`, "--service-port"}},
		"half a certificate":        {args: []string{"--kubeconfig=/dev/null", "--data-dir=d", "--tls-cert-file=/dev/null"}, want: []string{"--tls-private-key-file"}},
		"short certificates":        {args: []string{"--kubeconfig=/dev/null", "--data-dir=d", "--ca-validity=1s", "--serving-certificate-validity=2s"}, want: []string{"--ca-validity", "--serving-certificate-validity"}},
		"admission plugin":          {args: []string{"--kubeconfig=/dev/null", "--data-dir=d", "--disable-admission-plugins=Nope"}, want: []string{"disable-admission-plugins", `"Nope"`}},
		"no audit policy":           {args: []string{"--kubeconfig=/dev/null", "--data-dir=d", "--audit-policy-file=/no/such"}, want: []string{"--audit-policy-file"}},
		"no folder":                 {args: []string{"--standalone"}, want: []string{"--data-dir"}},
		"address":                   {args: []string{"--standalone", "--data-dir=d", "--bind-address=localhost"}, want: []string{"--bind-address", `"localhost"`}},
		"port too high":             {args: []string{"--standalone", "--data-dir=d", "--secure-port=65536"}, want: []string{"--secure-port", "65536"}},
		"SAN":                       {args: []string{"--standalone", "--data-dir=d", "--tls-san=--"}, want: []string{"--tls-san", `"--"`}},
		"SANs":                      {args: []string{"--standalone", "--data-dir=d", "--tls-san=host.example,::1,*.example.com"}},
		"node name":                 {args: []string{"--standalone", "--data-dir=d", "--node-name=A_B"}, want: []string{"--node-name", `"A_B"`}},
		"any port":                  {args: []string{"--standalone", "--data-dir=d", "--secure-port=0"}},
		"profile":                   {args: []string{"--standalone", "--data-dir=d", "--batch-v1-profile=k8s"}, want: []string{"--batch-v1-profile", `"k8s"`}},
		"guide":                     {args: []string{"--standalone", "--data-dir=d", "--batch-v1-profile=guide"}},
		"controller":                {args: []string{"--standalone", "--data-dir=d", "--controllers=*,-cronjob"}, want: []string{"--controllers", `"-cronjob"`}},
		"controllers":               {args: []string{"--standalone", "--data-dir=d", "--controllers=*,-job,-garbage-collector-controller"}},
		"no syncs":                  {args: []string{"--standalone", "--data-dir=d", "--concurrent-job-syncs=0"}, want: []string{"--concurrent-job-syncs"}},
		"no batch period":           {args: []string{"--standalone", "--data-dir=d", "--job-sync-batch-period=0s"}, want: []string{"--job-sync-batch-period"}},
		"no TTL syncs":              {args: []string{"--standalone", "--data-dir=d", "--concurrent-ttl-after-finished-syncs=0"}, want: []string{"--concurrent-ttl-after-finished-syncs"}},
		"no GC syncs":               {args: []string{"--standalone", "--data-dir=d", "--concurrent-gc-syncs=-1"}, want: []string{"--concurrent-gc-syncs", "-1"}},
		"no namespace syncs":        {args: []string{"--standalone", "--data-dir=d", "--concurrent-namespace-syncs=0"}, want: []string{"--concurrent-namespace-syncs"}},
		"ended Pods for ever":       {args: []string{"--standalone", "--data-dir=d", "--terminated-pod-gc-threshold=0"}},
		"no host limit":             {args: []string{"--standalone", "--data-dir=d", "--host-api-qps=-1"}},
		"host limit of 0":           {args: []string{"--standalone", "--data-dir=d", "--host-api-qps=0"}, want: []string{"--host-api-qps"}},
		"host limit of NaN":         {args: []string{"--standalone", "--data-dir=d", "--host-api-qps=NaN"}, want: []string{"--host-api-qps"}},
		"no host burst":             {args: []string{"--standalone", "--data-dir=d", "--host-api-burst=0"}, want: []string{"--host-api-burst"}},
		"back-offs crossed":         {args: []string{"--standalone", "--data-dir=d", "--job-pod-failure-backoff=20m"}, want: []string{"--job-pod-failure-backoff-max"}},
		"etcd":                      {args: []string{"--standalone", "--data-dir=d", "--etcd-servers=http://127.0.0.1:2379,https://etcd.example:2379,unix:///run/etcd.sock", "--etcd-prefix=/jobs"}},
		"etcd without scheme":       {args: []string{"--standalone", "--data-dir=d", "--etcd-servers=localhost:2379"}, want: []string{"--etcd-servers", `"localhost:2379"`}},
		"etcd without host":         {args: []string{"--standalone", "--data-dir=d", "--etcd-servers=https:///"}, want: []string{"--etcd-servers", "host"}},
		"etcd CA for nothing":       {args: []string{"--standalone", "--data-dir=d", "--etcd-cafile=ca"}, want: []string{"--etcd-cafile", "--etcd-servers"}},
		"no such etcd CA":           {args: []string{"--standalone", "--data-dir=d", "--etcd-servers=https://a", "--etcd-cafile=/no/ca"}, want: []string{"--etcd-cafile", "/no/ca"}},
		"etcd key missing":          {args: []string{"--standalone", "--data-dir=d", "--etcd-servers=https://a", "--etcd-certfile=options_test.go"}, want: []string{"--etcd-keyfile", "--etcd-certfile"}},
		"etcd cert missing":         {args: []string{"--standalone", "--data-dir=d", "--etcd-servers=https://a", "--etcd-keyfile=options_test.go"}, want: []string{"--etcd-certfile", "--etcd-keyfile"}},
		"etcd prefix":               {args: []string{"--standalone", "--data-dir=d", "--etcd-servers=https://a", "--etcd-prefix=/"}, want: []string{"--etcd-prefix", `"/"`}},
		"lease too short":           {args: []string{"--standalone", "--data-dir=d", "--leader-elect-lease-duration=6s"}, want: []string{"--leader-elect-renew-deadline", "6s"}},
		"no retry period":           {args: []string{"--standalone", "--data-dir=d", "--leader-elect-retry-period=0s"}, want: []string{"--leader-elect-retry-period"}},
		"retry too late":            {args: []string{"--standalone", "--data-dir=d", "--leader-elect-retry-period=6s"}, want: []string{"--leader-elect-retry-period"}},
		"everything at a time":      {args: []string{"--secure-port=-1", "--bind-address=x"}, want: []string{"--kubeconfig", "--data-dir", "--secure-port", "--bind-address"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serve := options.NewServe()
			flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
			serve.AddFlags(flags)
			if err := flags.Parse(test.args); err != nil {
				t.Fatal(err)
			}
			err := serve.Validate()
			if (err != nil) != (len(test.want) > 0) {
				t.Fatalf("got error %v, want one that says %q", err, test.want)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestRunTakesTheJobFlags(t *testing.T) {
	t.Parallel()
	run := options.NewRun()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	run.AddFlags(flags)
	if err := flags.Parse([]string{"-f", "a.yaml", "-f", "-", "--batch-v1-profile=guide", "--concurrent-job-syncs=2"}); err != nil {
		t.Fatal(err)
	}
	if err := run.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(run.Filenames, " "); got != "a.yaml -" {
		t.Errorf("files %s, want a.yaml -", got)
	}
	config, err := run.Server(t.TempDir()).Config()
	if err != nil {
		t.Fatal(err)
	}
	if config.BatchV1Profile != "guide" || config.Job.Syncs != 2 || config.Port != 0 {
		t.Errorf("the server gets profile %s, %d syncs and port %d", config.BatchV1Profile, config.Job.Syncs, config.Port)
	}
}

func TestRunValidate(t *testing.T) {
	t.Parallel()
	if err := options.NewRun().Validate(); err == nil || !strings.Contains(err.Error(), "--filename") {
		t.Errorf("got error %v, want one that names --filename", err)
	}
}

// TestTunablesAreUpstreams has kube-controller-manager's defaults, and what each flag becomes.
func TestTunablesAreUpstreams(t *testing.T) {
	t.Parallel()
	config := func(args ...string) standalone.Options {
		serve := options.NewServe()
		flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
		serve.AddFlags(flags)
		if err := flags.Parse(append(args, "--standalone", "--data-dir=d")); err != nil {
			t.Fatal(err)
		}
		config, err := serve.Config()
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	got := config()
	if diff := cmp.Diff(controllers.JobOptions{
		Syncs: 5, SyncBatchPeriod: time.Second, PodFailureBackoff: 10 * time.Second, PodFailureBackoffMax: 10 * time.Minute,
	}, got.Job); diff != "" {
		t.Errorf("defaults of the Job controller (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(controllers.CleaningOptions{
		TTLAfterFinishedSyncs: 5, GarbageCollectorSyncs: 20, NamespaceSyncs: 10, TerminatedPodThreshold: 12500,
	}, got.Cleaning); diff != "" {
		t.Errorf("defaults of the others (-want +got):\n%s", diff)
	}
	if tunables := options.NewTunables(); tunables.HostAPIQPS != 20 || tunables.HostAPIBurst != 30 {
		t.Errorf("%v requests a second and %d at once, want 20 and 30", tunables.HostAPIQPS, tunables.HostAPIBurst)
	}
	got = config("--concurrent-ttl-after-finished-syncs=1", "--concurrent-gc-syncs=2", "--concurrent-namespace-syncs=3", "--terminated-pod-gc-threshold=0")
	if diff := cmp.Diff(controllers.CleaningOptions{
		TTLAfterFinishedSyncs: 1, GarbageCollectorSyncs: 2, NamespaceSyncs: 3, TerminatedPodThreshold: -1,
	}, got.Cleaning); diff != "" {
		t.Errorf("chosen values (-want +got):\n%s", diff)
	}
}
