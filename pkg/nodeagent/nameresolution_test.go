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

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	got := hosts([]byte("127.0.0.1 localhost\n"), []corev1.HostAlias{{IP: "10.0.0.1", Hostnames: []string{"db", "db.local"}}, {IP: "::2", Hostnames: []string{"six"}}})
	want := "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n\n# Entries added by HostAliases.\n10.0.0.1\tdb\tdb.local\n::2\tsix\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("file differs (-want +got):\n%s", diff)
	}
}

func TestResolver(t *testing.T) {
	t.Parallel()
	const machine = "# a comment\nnameserver 10.0.0.1\nsearch old.example\nnameserver\nsearch example. . other.example\noptions ndots:1 rotate\noptions ndots:2\n"
	tests := map[string]struct {
		policy corev1.DNSPolicy
		config corev1.PodDNSConfig
		want   string
	}{
		"nothing of its own": {want: "search example other.example\nnameserver 10.0.0.1\noptions ndots:2 rotate\n"},
		"added": {
			config: corev1.PodDNSConfig{
				Nameservers: []string{"10.0.0.1", "10.0.0.2"}, Searches: []string{"mine.example", "example"},
				Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: new("5")}, {Name: "edns0"}},
			},
			want: "search example other.example mine.example\nnameserver 10.0.0.1\nnameserver 10.0.0.2\noptions ndots:5 rotate edns0\n",
		},
		"alone": {
			policy: corev1.DNSNone, config: corev1.PodDNSConfig{Nameservers: []string{"10.0.0.3"}},
			want: "nameserver 10.0.0.3\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := resolver([]byte(machine), &corev1.PodSpec{DNSPolicy: test.policy, DNSConfig: &test.config})
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("file differs (-want +got):\n%s", diff)
			}
		})
	}
}
