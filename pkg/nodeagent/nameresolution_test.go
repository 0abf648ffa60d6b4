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
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	long := strings.Repeat("a", 63)
	longest := strings.Join([]string{long, long, long, long[:61]}, ".") // 253 bytes
	many := make([]string, 33)
	for i := range many {
		many[i] = fmt.Sprintf("d%02d", i)
	}
	const searchLine = "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
	tests := map[string]struct {
		policy  corev1.DNSPolicy
		config  corev1.PodDNSConfig
		want    string
		omitted []string
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
		"a name server too many": {
			config:  corev1.PodDNSConfig{Nameservers: []string{"10.0.0.2", "10.0.0.3", "10.0.0.4"}},
			want:    "search example other.example\nnameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\noptions ndots:2 rotate\n",
			omitted: []string{"Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 10.0.0.1 10.0.0.2 10.0.0.3"},
		},
		"a domain too many": {
			policy: corev1.DNSNone, config: corev1.PodDNSConfig{Searches: many},
			want: "search " + strings.Join(many[:32], " ") + "\n", omitted: []string{searchLine + strings.Join(many[:32], " ")},
		},
		"a domain too long": {
			policy: corev1.DNSNone, config: corev1.PodDNSConfig{Searches: []string{"one", longest + "a", longest, "two"}},
			want: "search one " + longest + " two\n", omitted: []string{searchLine + "one " + longest + " two"},
		},
		"domains too long together": { // eight of 253 bytes with seven spaces are 2031 bytes; 16 more with their space are just enough
			policy: corev1.DNSNone, config: corev1.PodDNSConfig{Searches: append(distinct(longest, 8), long[:16], "b")},
			want:    "search " + strings.Join(append(distinct(longest, 8), long[:16]), " ") + "\n",
			omitted: []string{searchLine + strings.Join(append(distinct(longest, 8), long[:16]), " ")},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, omitted := resolver([]byte(machine), &corev1.PodSpec{DNSPolicy: test.policy, DNSConfig: &test.config})
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("file differs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.omitted, omitted); diff != "" {
				t.Errorf("what is said of omissions differs (-want +got):\n%s", diff)
			}
		})
	}
}

// distinct are n words that differ in their first byte from word and each other.
func distinct(word string, n int) []string {
	words := make([]string, n)
	for i := range words {
		words[i] = string(rune('b'+i)) + word[1:]
	}
	return words
}

// What is left out of a resolver's configuration is said once for the Pod, not once for each container.
func TestOmittedNameserversAreSaid(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	c := newCluster(t)
	pod := shellPod("crowded", "cat /etc/resolv.conf")
	pod.Spec.DNSPolicy = corev1.DNSNone
	pod.Spec.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}}
	pod.Spec.InitContainers = []corev1.Container{shellContainer("first", "true")}
	c.create(t, pod)
	c.waitPhase(t, "crowded", corev1.PodSucceeded)
	if got, want := c.log(t, "crowded", nil), "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n"; got != want {
		t.Errorf("the Pod's file is %q, want %q", got, want)
	}
	c.waitEvents(t, "crowded", "DNSConfigForming", "Started")
	events, err := c.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, event := range events.Items {
		if event.Reason == "DNSConfigForming" {
			said = append(said, fmt.Sprintf("%d %s %s", max(1, event.Count), event.Type, event.Message))
		}
	}
	want := []string{"1 Warning Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 192.0.2.1 192.0.2.2 192.0.2.3"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("events differ (-want +got):\n%s", diff)
	}
}
