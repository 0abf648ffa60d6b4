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
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/cmd/apiserver/app/options"
)

func parseNode(t *testing.T, args ...string) *options.Node {
	t.Helper()
	node := options.NewNode()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	node.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return node
}

func TestNodeValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want []string // parts of the error; none: valid
	}{
		"the least":           {},
		"no kubeconfig":       {args: []string{"--kubeconfig="}, want: []string{"--kubeconfig: is required"}},
		"no folder":           {args: []string{"--data-dir="}, want: []string{"--data-dir: is required"}},
		"node name":           {args: []string{"--node-name=A_B"}, want: []string{"--node-name", `"A_B"`}},
		"bind address":        {args: []string{"--bind-address=localhost"}, want: []string{"--bind-address", `"localhost"`}},
		"every address":       {args: []string{"--bind-address=0.0.0.0"}},
		"node IP":             {args: []string{"--node-ip=0.0.0.0"}, want: []string{"--node-ip", `"0.0.0.0"`}},
		"port":                {args: []string{"--secure-port=65536"}, want: []string{"--secure-port", "65536"}},
		"certificate alone":   {args: []string{"--tls-cert-file=a"}, want: []string{"--tls-cert-file", "--tls-private-key-file"}},
		"certificate and key": {args: []string{"--tls-cert-file=/dev/null", "--tls-private-key-file=/dev/null"}},
		"no such files":       {args: []string{"--tls-cert-file=/no/a", "--tls-private-key-file=/no/b", "--client-ca-file=/no/c"}, want: []string{"--tls-cert-file: stat /no/a", "--tls-private-key-file: stat /no/b", "--client-ca-file: stat /no/c"}},
		"authorization":       {args: []string{"--authorization-mode=RBAC"}, want: []string{"--authorization-mode", `"RBAC"`}},
		"nobody may call":     {args: []string{"--authentication-token-webhook=false"}, want: []string{"--client-ca-file", "--authentication-token-webhook"}},
		"certificates only":   {args: []string{"--authentication-token-webhook=false", "--client-ca-file=/dev/null"}},
		"label key":           {args: []string{"--node-labels=a b=c"}, want: []string{"--node-labels: a b=c"}},
		"label value":         {args: []string{"--node-labels=a=b c"}, want: []string{"--node-labels: a=b c"}},
		"no effect":           {args: []string{"--register-with-taints=a=b"}, want: []string{"--register-with-taints", `"a=b"`}},
		"unknown effect":      {args: []string{"--register-with-taints=a=b:NoRun"}, want: []string{"--register-with-taints", `"a=b:NoRun"`}},
		"taint key":           {args: []string{"--register-with-taints=a b:NoSchedule"}, want: []string{"--register-with-taints", `"a b:NoSchedule"`}},
		"log size":            {args: []string{"--container-log-max-size=much"}, want: []string{`--container-log-max-size: "much"`}},
		"log files":           {args: []string{"--container-log-max-files=1", "--container-log-max-size=0"}, want: []string{"--container-log-max-size: 0 is not more than 0", "--container-log-max-files: must be at least 2"}},
		"max pods":            {args: []string{"--max-pods=-1"}, want: []string{"--max-pods: -1"}},
		"no requests":         {args: []string{"--kube-api-qps=0"}, want: []string{"--kube-api-qps"}},
		"all at once":         {args: []string{"--kubeconfig=", "--data-dir=", "--secure-port=-1"}, want: []string{"--kubeconfig", "--data-dir", "--secure-port"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := parseNode(t, append([]string{"--kubeconfig=k", "--data-dir=d"}, test.args...)...).Validate()
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

const kubeconfig = `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://api.example:6443"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`

func TestNodeOptions(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := parseNode(t, "--kubeconfig", path, "--data-dir=d", "--node-name=n", "--node-labels=pool=jobs", "--authorization-mode=AlwaysAllow",
		"--register-with-taints=jobs:NoSchedule,only=jobs:NoExecute", "--schedule-pods", "--stop-pods-on-exit", "--kube-api-qps=7").Options()
	if err != nil {
		t.Fatal(err)
	}
	if got.API.Host != "https://api.example:6443" || got.API.BearerToken != "t" || got.API.QPS != 7 {
		t.Errorf("got the API server %s, token %q, %v requests per second", got.API.Host, got.API.BearerToken, got.API.QPS)
	}
	if !filepath.IsAbs(got.DataDir) || got.NodeName != "n" || got.Port != 10250 || got.BindAddress.String() != "127.0.0.1" || got.NodeIP != nil {
		t.Errorf("got folder %s, name %s, port %d, address %s, node IP %s", got.DataDir, got.NodeName, got.Port, got.BindAddress, got.NodeIP)
	}
	if !got.AllowAll || !got.ReviewTokens || !got.SchedulePods || !got.StopPodsOnExit {
		t.Errorf("got %+v", got)
	}
	wantTaints := []corev1.Taint{{Key: "jobs", Effect: "NoSchedule"}, {Key: "only", Value: "jobs", Effect: "NoExecute"}}
	if diff := cmp.Diff(wantTaints, got.Taints); diff != "" {
		t.Errorf("taints: -want +got\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"pool": "jobs"}, got.Labels); diff != "" {
		t.Errorf("labels: -want +got\n%s", diff)
	}
	if _, err := parseNode(t, "--kubeconfig", path+"no", "--data-dir=d").Options(); err == nil || !strings.Contains(err.Error(), "--kubeconfig") {
		t.Errorf("a kubeconfig that isn't there: got error %v", err)
	}
}
