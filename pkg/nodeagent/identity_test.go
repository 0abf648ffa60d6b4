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
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

func TestRights(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	type pod = *corev1.PodSecurityContext
	type container = *corev1.SecurityContext
	tests := map[string]struct {
		pod       func(pod)
		container func(container)
		want      supervisor.Rights
	}{
		"nothing said": {},
		"container over Pod": {
			pod:       func(s pod) { s.RunAsUser, s.RunAsGroup = new(int64(54321)), new(int64(2)) },
			container: func(s container) { s.RunAsUser = new(int64(54322)) },
			want:      supervisor.Rights{User: &supervisor.User{UID: 54322, GID: 2, Groups: []uint32{2}}},
		},
		"unknown user, no group": {
			container: func(s container) { s.RunAsUser = new(int64(54321)) },
			want:      supervisor.Rights{User: &supervisor.User{UID: 54321, GID: 0, Groups: []uint32{0}}},
		},
		"known user": {
			container: func(s container) { s.RunAsUser = new(int64(1)) }, // daemon
			want:      supervisor.Rights{User: &supervisor.User{UID: 1, GID: 1, Groups: []uint32{1}}},
		},
		"groups": {
			pod:       func(s pod) { s.SupplementalGroups, s.FSGroup = []int64{30, 20, 30}, new(int64(40)) },
			container: func(s container) { s.RunAsUser, s.RunAsGroup = new(int64(54321)), new(int64(10)) },
			want:      supervisor.Rights{User: &supervisor.User{UID: 54321, GID: 10, Groups: []uint32{10, 20, 30, 40}}},
		},
		"strict": {
			pod: func(s pod) {
				s.SupplementalGroups, s.SupplementalGroupsPolicy = []int64{30}, new(corev1.SupplementalGroupsPolicyStrict)
				s.RunAsUser, s.RunAsGroup = new(int64(1)), new(int64(10))
			},
			want: supervisor.Rights{User: &supervisor.User{UID: 1, GID: 10, Groups: []uint32{10, 30}}},
		},
		"no escalation": {
			container: func(s container) { s.AllowPrivilegeEscalation = new(false) },
			want:      supervisor.Rights{NoNewPrivileges: true},
		},
		"all capabilities dropped but one": {
			container: func(s container) {
				s.Capabilities = &corev1.Capabilities{Add: []corev1.Capability{"NET_BIND_SERVICE"}, Drop: []corev1.Capability{"ALL"}}
			},
			want: supervisor.Rights{DropCapabilities: ^uint64(1 << 10)},
		},
		"one capability dropped": {
			container: func(s container) { s.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"CAP_CHOWN"}} },
			want:      supervisor.Rights{DropCapabilities: 1},
		},
		"privileged": {
			container: func(s container) {
				s.Privileged, s.Capabilities = new(true), &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := shellPod("pod", "true")
			if test.pod != nil {
				pod.Spec.SecurityContext = &corev1.PodSecurityContext{}
				test.pod(pod.Spec.SecurityContext)
			}
			if test.container != nil {
				pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{}
				test.container(pod.Spec.Containers[0].SecurityContext)
			}
			if refused := unsupportedField(pod); refused != nil {
				t.Errorf("refused: %s", refused.message)
			}
			if diff := cmp.Diff(test.want, rights(pod, &pod.Spec.Containers[0])); diff != "" {
				t.Errorf("rights differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckNonRoot(t *testing.T) {
	t.Parallel()
	zero, other := int64(0), int64(1000)
	asServer := ""
	if os.Geteuid() == 0 {
		asServer = `container has runAsNonRoot and image will run as root (pod: "pod_default()", container: main)`
	}
	tests := map[string]struct {
		pod       *corev1.PodSecurityContext
		container *corev1.SecurityContext
		want      string
	}{
		"not asked for":         {nil, &corev1.SecurityContext{RunAsUser: &zero}, ""},
		"root":                  {&corev1.PodSecurityContext{RunAsNonRoot: new(true)}, &corev1.SecurityContext{RunAsUser: &zero}, `container's runAsUser breaks non-root policy (pod: "pod_default()", container: main)`},
		"another":               {&corev1.PodSecurityContext{RunAsNonRoot: new(true), RunAsUser: &other}, nil, ""},
		"the server":            {&corev1.PodSecurityContext{RunAsNonRoot: new(true)}, nil, asServer},
		"container may be root": {&corev1.PodSecurityContext{RunAsNonRoot: new(true)}, &corev1.SecurityContext{RunAsNonRoot: new(false), RunAsUser: &zero}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := shellPod("pod", "true")
			pod.Spec.SecurityContext, pod.Spec.Containers[0].SecurityContext = test.pod, test.container
			got := ""
			if err := checkNonRoot(pod, &pod.Spec.Containers[0]); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestContainerRunsAsAnotherUser(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	c := newCluster(t)
	script := `id -u; id -g; id -G; echo $HOME; echo to stderr > /dev/stderr; touch here && stat -c '%u %g' here
		touch /jobserver-test/file && stat -c '%u %g' /jobserver-test/file; stat -c '%a' /jobserver-test
		grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status; cat /etc/shadow > /dev/null 2>&1 || echo no shadow
		echo up > up; until [ -e go ]; do sleep 0.01; done`
	pod := volumePod("other", "exec 2>&1; "+script, emptyDir())
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsUser: new(int64(54321)), RunAsGroup: new(int64(54322)), FSGroup: new(int64(54323)), SupplementalGroups: []int64{54324}, RunAsNonRoot: new(true),
	}
	pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	created := c.create(t, pod)
	c.waitWorkFile(t, created, "up")
	var target execTarget
	var err error
	// The container may be at work before the agent has noted that it has started.
	waitFor(t, "a container to run a command in", func() bool {
		target, err = c.agent.execTarget(created, "main")
		return err == nil
	})
	output, err := c.agent.execInContainer(t.Context(), target, []string{"sh", "-c", "id -u; id -G; touch go; grep NoNewPrivs /proc/self/status"})
	if want := "54321\n54322 54323 54324\nNoNewPrivs:\t1\n"; err != nil || string(output) != want {
		t.Errorf("a command beside it printed %q (%v), want %q", output, err, want)
	}
	c.waitPhase(t, "other", corev1.PodSucceeded)
	want := strings.Join([]string{
		"54321", "54322", "54322 54323 54324", "/", "to stderr", "54321 54322", "54321 54323", "2777",
		"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "no shadow", "",
	}, "\n")
	if diff := cmp.Diff(want, c.log(t, "other", nil)); diff != "" {
		t.Errorf("the container printed something else (-want +got):\n%s", diff)
	}
	root := shellPod("root", "true")
	root.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: new(true)}
	c.create(t, root)
	c.wait(t, "root", "refused", func(pod *corev1.Pod) bool {
		state := mainState(pod).Waiting
		return state != nil && state.Reason == "CreateContainerConfigError" && strings.HasPrefix(state.Message, "container has runAsNonRoot and image will run as root (pod: ")
	})
}

// The status of a container names its user, even where the Pod doesn't.
func TestContainerUser(t *testing.T) {
	t.Parallel()
	pod := shellPod("pod", "true")
	got := containerUser(pod, &pod.Spec.Containers[0]).Linux
	if got.UID != int64(os.Geteuid()) || got.GID != int64(os.Getegid()) || !slices.Contains(got.SupplementalGroups, int64(os.Getegid())) {
		t.Errorf("the server's own user is shown as %+v", got)
	}
	requireRoot(t)
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(54321)), RunAsGroup: new(int64(3000)), SupplementalGroups: []int64{4000}}
	want := &corev1.LinuxContainerUser{UID: 54321, GID: 3000, SupplementalGroups: []int64{3000, 4000}}
	if diff := cmp.Diff(want, containerUser(pod, &pod.Spec.Containers[0]).Linux); diff != "" {
		t.Errorf("user differs (-want +got):\n%s", diff)
	}
}
