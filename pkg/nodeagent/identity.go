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
	"cmp"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// identity is whom a container runs as, by its securityContext or else its Pod's. There is no image to name a user: where neither says, it is the
// user of the server, with the server's groups.
type identity struct {
	user, group     *int64
	supplementary   []int64
	strict          bool // no groups of the user database
	nonRoot         bool
	noNewPrivileges bool
	add, drop       []corev1.Capability
	privileged      bool
}

// identityOf merges what the Pod says and what the container says: the container has the last word on each field.
func identityOf(pod *corev1.Pod, container *corev1.Container) identity {
	var who identity
	if security := pod.Spec.SecurityContext; security != nil {
		who.user, who.group, who.nonRoot = security.RunAsUser, security.RunAsGroup, isTrue(security.RunAsNonRoot)
		if security.FSGroup != nil {
			who.supplementary = append(who.supplementary, *security.FSGroup)
		}
		who.supplementary = append(who.supplementary, security.SupplementalGroups...)
		who.strict = security.SupplementalGroupsPolicy != nil && *security.SupplementalGroupsPolicy == corev1.SupplementalGroupsPolicyStrict
	}
	if security := container.SecurityContext; security != nil {
		who.user, who.group = cmp.Or(security.RunAsUser, who.user), cmp.Or(security.RunAsGroup, who.group)
		if security.RunAsNonRoot != nil {
			who.nonRoot = *security.RunAsNonRoot
		}
		who.noNewPrivileges = security.AllowPrivilegeEscalation != nil && !*security.AllowPrivilegeEscalation
		who.privileged = isTrue(security.Privileged)
		if security.Capabilities != nil {
			who.add, who.drop = security.Capabilities.Add, security.Capabilities.Drop
		}
	}
	return who
}

// changesUser tells whether the container has another user or other groups than the server.
func (w *identity) changesUser() bool {
	return w.user != nil || w.group != nil || len(w.supplementary) > 0 || w.strict
}

// uid is the number of the user that the container runs as.
func (w *identity) uid() int64 {
	if w.user != nil {
		return *w.user
	}
	return int64(os.Geteuid())
}

// credentials are the user and its groups for the kernel; nil: the server's. As with a container runtime, the primary group is that of the user
// database, or else root's, unless runAsGroup says another; the groups that the database knows the user to be in come with it unless the policy is Strict.
func (w *identity) credentials() *supervisor.User {
	if !w.changesUser() || os.Geteuid() != 0 {
		return nil // another user than the server's was refused: see support.go
	}
	known := databaseUser(w.uid())
	group := known.group
	if w.group != nil {
		group = *w.group
	}
	groups := []int64{group}
	if !w.strict {
		groups = append(groups, known.groups...)
	}
	groups = append(groups, w.supplementary...)
	slices.Sort(groups)
	credentials := &supervisor.User{UID: uint32(w.uid()), GID: uint32(group)}
	for _, gid := range slices.Compact(groups) {
		credentials.Groups = append(credentials.Groups, uint32(gid))
	}
	return credentials
}

// containerUser is whom a container's first process runs as, as its status has it.
func containerUser(pod *corev1.Pod, container *corev1.Container) *corev1.ContainerUser {
	who := identityOf(pod, container)
	credentials := who.credentials()
	if credentials == nil {
		credentials = serverUser()
	}
	user := &corev1.LinuxContainerUser{UID: int64(credentials.UID), GID: int64(credentials.GID)}
	for _, group := range credentials.Groups {
		user.SupplementalGroups = append(user.SupplementalGroups, int64(group))
	}
	return &corev1.ContainerUser{Linux: user}
}

// serverUser is the user of the server. Its own group counts among the others, as it does with a container runtime.
var serverUser = sync.OnceValue(func() *supervisor.User {
	own := &supervisor.User{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	others, _ := os.Getgroups() // it can't fail on Linux
	for _, group := range append(others, os.Getegid()) {
		own.Groups = append(own.Groups, uint32(group))
	}
	slices.Sort(own.Groups)
	own.Groups = slices.Compact(own.Groups)
	return own
})

// rights are what the processes of a container may do.
func rights(pod *corev1.Pod, container *corev1.Container) supervisor.Rights {
	who := identityOf(pod, container)
	return supervisor.Rights{User: who.credentials(), NoNewPrivileges: who.noNewPrivileges, DropCapabilities: who.droppedCapabilities()}
}

// userEntry is what the machine's user database says of a user.
type userEntry struct {
	group  int64
	groups []int64
	home   string
}

// databaseUser looks a user up. One that isn't known has root's group and no home, as in a container whose image doesn't know it.
func databaseUser(uid int64) userEntry {
	entry := userEntry{home: "/"}
	found, err := user.LookupId(strconv.FormatInt(uid, 10))
	if err != nil {
		return entry
	}
	entry.home = cmp.Or(found.HomeDir, entry.home)
	if gid, err := strconv.ParseInt(found.Gid, 10, 64); err == nil {
		entry.group = gid
	}
	groups, err := found.GroupIds()
	if err != nil {
		return entry
	}
	for _, group := range groups {
		if gid, err := strconv.ParseInt(group, 10, 64); err == nil {
			entry.groups = append(entry.groups, gid)
		}
	}
	return entry
}

// checkNonRoot refuses to run a container as root that must not, in a kubelet's words.
func checkNonRoot(pod *corev1.Pod, container *corev1.Container) error {
	who := identityOf(pod, container)
	switch {
	case !who.nonRoot || who.uid() != 0:
		return nil
	case who.user != nil:
		return fmt.Errorf("container's runAsUser breaks non-root policy (pod: %q, container: %s)", fullName(pod), container.Name)
	}
	// "image" is what a kubelet says; here it is the server that is root.
	return fmt.Errorf("container has runAsNonRoot and image will run as root (pod: %q, container: %s)", fullName(pod), container.Name)
}
