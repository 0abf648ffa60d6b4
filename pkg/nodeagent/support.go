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
	"os"
	"runtime"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	noderuntime "github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent/volumes"
)

// unsupportedField returns why this node can't run the Pod: the first field that asks for something a process of the machine
// doesn't get here. It returns nil where everything that the Pod asks for is honoured. Fields that only concern a scheduler are in fit.go,
// and ephemeral containers, which never fail their Pod, in ephemeral.go.
//
// What is accepted although it does nothing is listed with its reason in support_test.go, which knows every field.
func unsupportedField(pod *corev1.Pod) *failure {
	refused := &refusals{}
	spec := field.NewPath("spec")
	refused.podSpec(&pod.Spec, spec)
	for i := range pod.Spec.InitContainers {
		refused.container(&pod.Spec.InitContainers[i], spec.Child("initContainers").Index(i))
	}
	for i := range pod.Spec.Containers {
		refused.container(&pod.Spec.Containers[i], spec.Child("containers").Index(i))
	}
	return refused.first
}

// refusals keeps the first refusal.
type refusals struct{ first *failure }

func (r *refusals) refuse(refused bool, path *field.Path, why string) {
	if refused && r.first == nil {
		r.first = &failure{reasonUnsupportedField, fmt.Sprintf("%s: %s", path, why)}
	}
}

const (
	whyIsolation = "containers are processes of this machine, without isolation from it"
	whyIdentity  = "the server is not root, so containers run as its user"
	whyMissing   = "is not supported by this node"
)

func (r *refusals) podSpec(spec *corev1.PodSpec, path *field.Path) {
	r.volumes(spec, path)
	if len(spec.HostAliases) > 0 {
		r.mounts(path.Child("hostAliases"))
	}
	if spec.DNSConfig != nil {
		r.mounts(path.Child("dnsConfig"))
	}
	r.refuse(spec.RuntimeClassName != nil, path.Child("runtimeClassName"), whyIsolation)
	r.refuse(spec.OS != nil && string(spec.OS.Name) != runtime.GOOS, path.Child("os", "name"), "this machine runs "+runtime.GOOS)
	r.refuse(spec.HostUsers != nil && !*spec.HostUsers, path.Child("hostUsers"), whyIsolation)
	r.refuse(len(spec.ResourceClaims) > 0, path.Child("resourceClaims"), "this node has no devices to claim")
	r.refuse(spec.SchedulingGroup != nil, path.Child("schedulingGroup"), "gang scheduling is not supported")
	if spec.SecurityContext != nil {
		r.podSecurity(spec.SecurityContext, path.Child("securityContext"))
	}
}

// volumes refuses kinds of volumes that this node doesn't have, and all of them where the server may not mount.
func (r *refusals) volumes(spec *corev1.PodSpec, path *field.Path) {
	if len(spec.Volumes) > 0 {
		r.mounts(path.Child("volumes"))
	}
	volumes.Unsupported(spec, func(path *field.Path, why string) { r.refuse(true, path, why) })
}

// mounts refuses a field that needs mounts where the server may not make any.
func (r *refusals) mounts(path *field.Path) {
	if err := noderuntime.CanMount(); err != nil {
		r.refuse(true, path, fmt.Sprintf("this server may not mount (%v); start it as root", err))
	}
}

func (r *refusals) podSecurity(security *corev1.PodSecurityContext, path *field.Path) {
	r.identity(security.RunAsUser, security.RunAsGroup, path)
	r.confinement(security.SELinuxOptions, security.SeccompProfile, security.AppArmorProfile, path)
	for i, group := range security.SupplementalGroups {
		r.group(group, path.Child("supplementalGroups").Index(i))
	}
	if security.FSGroup != nil {
		r.group(*security.FSGroup, path.Child("fsGroup"))
	}
	r.refuse(len(security.Sysctls) > 0, path.Child("sysctls"), whyIsolation)
	r.refuse(security.WindowsOptions != nil, path.Child("windowsOptions"), "this machine runs "+runtime.GOOS)
}

// identity refuses every identity but the server's own where the server may not take another one.
func (r *refusals) identity(user, group *int64, path *field.Path) {
	uid, gid := int64(os.Geteuid()), int64(os.Getegid())
	why := mayNotSwitch()
	r.refuse(user != nil && *user != uid && why != "", path.Child("runAsUser"), fmt.Sprintf("%s, %d", why, uid))
	r.refuse(group != nil && *group != gid && why != "", path.Child("runAsGroup"), fmt.Sprintf("%s, and with its group, %d", why, gid))
}

// group refuses a group that the server isn't in and may not give itself.
func (r *refusals) group(group int64, path *field.Path) {
	why := mayNotSwitch()
	if why == "" {
		return
	}
	own, err := os.Getgroups()
	isOwn := group == int64(os.Getegid()) || (err == nil && slices.Contains(own, int(group)))
	r.refuse(!isOwn, path, fmt.Sprintf("%s, and with its groups, which %d is none of", why, group))
}

// mayNotSwitch tells why the server can't run a container as another user, or with other groups; empty: it can.
func mayNotSwitch() string {
	switch {
	case os.Geteuid() != 0:
		return whyIdentity
	case ownCapabilities()&capabilitiesToSwitch != capabilitiesToSwitch:
		return "the server is root without the capabilities SETUID and SETGID, so containers run as its user"
	}
	return ""
}

func (r *refusals) confinement(selinux *corev1.SELinuxOptions, seccomp *corev1.SeccompProfile, appArmor *corev1.AppArmorProfile, path *field.Path) {
	r.refuse(selinux != nil, path.Child("seLinuxOptions"), whyIsolation)
	r.refuse(seccomp != nil && seccomp.Type != corev1.SeccompProfileTypeUnconfined, path.Child("seccompProfile", "type"), whyIsolation+"; only Unconfined can be honoured")
	r.refuse(appArmor != nil && appArmor.Type != corev1.AppArmorProfileTypeUnconfined, path.Child("appArmorProfile", "type"), whyIsolation+"; only Unconfined can be honoured")
}

func (r *refusals) container(container *corev1.Container, path *field.Path) {
	r.refuse(len(container.Command) == 0, path.Child("command"), fmt.Sprintf(
		"is required: images are not pulled here, so nothing says what %q would run; name a command of this machine", container.Image))
	volumes.UnsupportedMounts(container, path, func(path *field.Path, why string) { r.refuse(true, path, why) })
	r.refuse(len(container.VolumeDevices) > 0, path.Child("volumeDevices"), whyMissing)
	r.refuse(len(container.Resources.Claims) > 0, path.Child("resources", "claims"), "this node has no devices to claim")
	if container.TerminationMessagePath != "" && container.TerminationMessagePath != corev1.TerminationMessagePathDefault {
		r.mounts(path.Child("terminationMessagePath"))
	}
	if container.Lifecycle != nil {
		r.lifecycle(container.Lifecycle, path.Child("lifecycle"))
	}
	if container.SecurityContext != nil {
		r.security(container.SecurityContext, path.Child("securityContext"))
	}
}

func (r *refusals) lifecycle(lifecycle *corev1.Lifecycle, path *field.Path) {
	if lifecycle.StopSignal != nil {
		_, known := signalNumber(*lifecycle.StopSignal)
		r.refuse(!known, path.Child("stopSignal"), fmt.Sprintf("%s is not a signal of this machine", *lifecycle.StopSignal))
	}
}

func (r *refusals) security(security *corev1.SecurityContext, path *field.Path) {
	r.identity(security.RunAsUser, security.RunAsGroup, path)
	r.confinement(security.SELinuxOptions, security.SeccompProfile, security.AppArmorProfile, path)
	if security.Capabilities != nil {
		r.capabilities(security.Capabilities, path.Child("capabilities"))
	}
	r.refuse(security.Privileged != nil && *security.Privileged && os.Geteuid() != 0, path.Child("privileged"), "the server doesn't run as root")
	if isTrue(security.ReadOnlyRootFilesystem) {
		r.mounts(path.Child("readOnlyRootFilesystem"))
	}
	r.refuse(security.ProcMount != nil && *security.ProcMount != corev1.DefaultProcMount, path.Child("procMount"), whyIsolation)
	r.refuse(security.WindowsOptions != nil, path.Child("windowsOptions"), "this machine runs "+runtime.GOOS)
}

// capabilities refuses to add those that the server hasn't itself, and to drop any where the server is root and may not. One that isn't root has none.
func (r *refusals) capabilities(capabilities *corev1.Capabilities, path *field.Path) {
	for i, name := range capabilities.Add {
		bit, known := capabilityBit(name)
		r.refuse(!known, path.Child("add").Index(i), fmt.Sprintf("%s is not a capability of this machine", name))
		r.refuse(bit != everyCapability && ownCapabilities()&bit == 0, path.Child("add").Index(i), "the server doesn't have it itself")
	}
	for i, name := range capabilities.Drop {
		_, known := capabilityBit(name)
		r.refuse(!known, path.Child("drop").Index(i), fmt.Sprintf("%s is not a capability of this machine", name))
		r.refuse(os.Geteuid() == 0 && ownCapabilities()&capabilityToDrop == 0, path.Child("drop").Index(i), "the server is root without the capability SETPCAP")
	}
}
