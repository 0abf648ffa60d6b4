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
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	noderuntime "github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

func TestUnsupportedField(t *testing.T) {
	t.Parallel()
	type pod = *corev1.Pod
	main := func(p pod) *corev1.Container { return &p.Spec.Containers[0] }
	security := func(p pod) *corev1.SecurityContext {
		main(p).SecurityContext = &corev1.SecurityContext{}
		return main(p).SecurityContext
	}
	podSecurity := func(p pod) *corev1.PodSecurityContext {
		p.Spec.SecurityContext = &corev1.PodSecurityContext{}
		return p.Spec.SecurityContext
	}
	hook := func(p pod) *corev1.Lifecycle {
		main(p).Lifecycle = &corev1.Lifecycle{}
		return main(p).Lifecycle
	}
	other := int64(os.Geteuid()) + 1
	own := int64(os.Geteuid())
	unlessRoot := func(field string) string {
		if own == 0 {
			return ""
		}
		return field
	}
	unlessMounts := func(field string) string {
		if noderuntime.CanMount() == nil {
			return ""
		}
		return field
	}
	tests := map[string]struct {
		change func(pod)
		want   string // the field; empty: supported
	}{
		"plain":               {func(p pod) {}, ""},
		"defaults":            {func(p pod) { podSecurity(p); security(p); p.Spec.DNSPolicy = corev1.DNSClusterFirst }, ""},
		"requests and limits": {func(p pod) { main(p).Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("1")} }, ""},
		"host network":        {func(p pod) { p.Spec.HostNetwork, p.Spec.HostPID = true, true }, ""},
		"own user":            {func(p pod) { security(p).RunAsUser = &own }, ""},
		"no escalation":       {func(p pod) { security(p).AllowPrivilegeEscalation = new(false) }, ""},
		"hooks": {func(p pod) {
			hook(p).PreStop = &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{}}
			main(p).Lifecycle.PostStart = &corev1.LifecycleHandler{Exec: &corev1.ExecAction{}}
		}, ""},
		"probes": {func(p pod) {
			main(p).LivenessProbe, main(p).ReadinessProbe, main(p).StartupProbe = &corev1.Probe{}, &corev1.Probe{}, &corev1.Probe{}
		}, ""},
		"sidecar and restart rules": {func(p pod) {
			p.Spec.InitContainers = []corev1.Container{*main(p)}
			p.Spec.InitContainers[0].RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
			main(p).RestartPolicy, main(p).RestartPolicyRules = new(corev1.ContainerRestartPolicyNever), make([]corev1.ContainerRestartRule, 1)
		}, ""},
		"stop signal":         {func(p pod) { hook(p).StopSignal = new(corev1.SIGUSR1) }, ""},
		"unknown stop signal": {func(p pod) { hook(p).StopSignal = new(corev1.Signal("SIGNO")) }, "spec.containers[0].lifecycle.stopSignal"},
		"no command":          {func(p pod) { main(p).Command = nil }, "spec.containers[0].command"},
		"volume of a claim": {func(p pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{}}}}
		}, "spec.volumes[0].persistentVolumeClaim"},
		"mounts that spread": {func(p pod) {
			main(p).VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPropagation: new(corev1.MountPropagationBidirectional)}}
		}, "spec.containers[0].volumeMounts[0].mountPropagation"},
		"volume devices":   {func(p pod) { main(p).VolumeDevices = []corev1.VolumeDevice{{Name: "v"}} }, "spec.containers[0].volumeDevices"},
		"host aliases":     {func(p pod) { p.Spec.HostAliases = make([]corev1.HostAlias, 1) }, unlessMounts("spec.hostAliases")},
		"dns config":       {func(p pod) { p.Spec.DNSConfig = &corev1.PodDNSConfig{} }, unlessMounts("spec.dnsConfig")},
		"runtime class":    {func(p pod) { p.Spec.RuntimeClassName = new("gvisor") }, "spec.runtimeClassName"},
		"windows":          {func(p pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} }, "spec.os.name"},
		"user namespace":   {func(p pod) { p.Spec.HostUsers = new(false) }, "spec.hostUsers"},
		"resource claims":  {func(p pod) { p.Spec.ResourceClaims = make([]corev1.PodResourceClaim, 1) }, "spec.resourceClaims"},
		"gang":             {func(p pod) { p.Spec.SchedulingGroup = &corev1.PodSchedulingGroup{} }, "spec.schedulingGroup"},
		"container claims": {func(p pod) { main(p).Resources.Claims = make([]corev1.ResourceClaim, 1) }, "spec.containers[0].resources.claims"},
		"stdin and tty":    {func(p pod) { main(p).Stdin, main(p).StdinOnce, main(p).TTY = true, true, true }, ""},
		"message path":     {func(p pod) { main(p).TerminationMessagePath = "/tmp/why" }, unlessMounts("spec.containers[0].terminationMessagePath")},
		"env from file": {func(p pod) {
			main(p).Env = []corev1.EnvVar{{ValueFrom: &corev1.EnvVarSource{FileKeyRef: &corev1.FileKeySelector{}}}}
		}, ""},
		"other user":          {func(p pod) { security(p).RunAsUser = &other }, unlessRoot("spec.containers[0].securityContext.runAsUser")},
		"other group":         {func(p pod) { podSecurity(p).RunAsGroup = &other }, unlessRoot("spec.securityContext.runAsGroup")},
		"supplemental groups": {func(p pod) { podSecurity(p).SupplementalGroups = []int64{54321} }, unlessRoot("spec.securityContext.supplementalGroups[0]")},
		"fsGroup":             {func(p pod) { podSecurity(p).FSGroup = new(int64(54321)) }, unlessRoot("spec.securityContext.fsGroup")},
		"own group":           {func(p pod) { podSecurity(p).FSGroup = new(int64(os.Getegid())) }, ""},
		"sysctls":             {func(p pod) { podSecurity(p).Sysctls = make([]corev1.Sysctl, 1) }, "spec.securityContext.sysctls"},
		"seccomp": {func(p pod) {
			podSecurity(p).SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
		}, "spec.securityContext.seccompProfile.type"},
		"unknown capability to add":  {func(p pod) { security(p).Capabilities = &corev1.Capabilities{Add: []corev1.Capability{"FLY"}} }, "spec.containers[0].securityContext.capabilities.add[0]"},
		"unknown capability to drop": {func(p pod) { security(p).Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL", "FLY"}} }, "spec.containers[0].securityContext.capabilities.drop[1]"},
		"capability to add":          {func(p pod) { security(p).Capabilities = &corev1.Capabilities{Add: []corev1.Capability{"CHOWN"}} }, unlessRoot("spec.containers[0].securityContext.capabilities.add[0]")},
		"no capabilities":            {func(p pod) { security(p).Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}} }, ""},
		"unmasked proc":              {func(p pod) { security(p).ProcMount = new(corev1.UnmaskedProcMount) }, "spec.containers[0].securityContext.procMount"},
		"selinux":                    {func(p pod) { security(p).SELinuxOptions = &corev1.SELinuxOptions{} }, "spec.containers[0].securityContext.seLinuxOptions"},
		"first of several wins":      {func(p pod) { p.Spec.RuntimeClassName = new("gvisor"); main(p).Command = nil }, "spec.runtimeClassName"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := shellPod("pod", "true")
			test.change(pod)
			got := unsupportedField(pod)
			switch {
			case test.want == "" && got != nil:
				t.Errorf("refused: %s", got.message)
			case test.want != "" && (got == nil || got.reason != "UnsupportedField" || !strings.HasPrefix(got.message, test.want+": ")):
				t.Errorf("got %+v, want %s refused", got, test.want)
			}
		})
	}
}

// decided says of every field what becomes of it: "done" by this package, "refused" by support.go, or why doing nothing is right.
// A field that Kubernetes adds fails the test until somebody has decided.
var decided = map[reflect.Type]map[string]string{
	reflect.TypeFor[corev1.PodSpec](): {
		"Volumes": "done", "InitContainers": "done", "Containers": "done", "EphemeralContainers": "done", "RestartPolicy": "done",
		"TerminationGracePeriodSeconds": "done", "ActiveDeadlineSeconds": "done", "DNSPolicy": "done",
		"NodeSelector": "done", "ServiceAccountName": "done", "DeprecatedServiceAccount": "an alias", "AutomountServiceAccountToken": "the API server adds the volume with the token",
		"NodeName": "done", "HostNetwork": "always so", "HostPID": "always so", "HostIPC": "always so", "ShareProcessNamespace": "always so",
		"SecurityContext": "done", "ImagePullSecrets": "nothing is pulled", "Hostname": "done", "Subdomain": "a name in the cluster's DNS, of which there is none",
		"Affinity": "done", "SchedulerName": "done", "Tolerations": "done", "HostAliases": "done", "PriorityClassName": "the API server's", "Priority": "no preemption here",
		"DNSConfig": "done", "ReadinessGates": "done", "RuntimeClassName": "refused", "EnableServiceLinks": "there are no Services", "PreemptionPolicy": "no preemption here",
		"Overhead": "done", "TopologySpreadConstraints": "done", "SetHostnameAsFQDN": "a kernel host name, which is the machine's", "OS": "refused", "HostUsers": "refused",
		"SchedulingGates": "done", "ResourceClaims": "refused", "Resources": "done", "HostnameOverride": "done", "SchedulingGroup": "refused",
		"EvictionResponders": "of whoever evicts, not of the node",
	},
	reflect.TypeFor[corev1.Container](): {
		"Name": "done", "Image": "done", "Command": "done", "Args": "done", "WorkingDir": "done", "Ports": "informational", "EnvFrom": "done", "Env": "done", "Resources": "done",
		"ResizePolicy": "resizing is not served", "RestartPolicy": "done", "RestartPolicyRules": "done", "VolumeMounts": "done", "VolumeDevices": "refused",
		"LivenessProbe": "done", "ReadinessProbe": "done", "StartupProbe": "done", "Lifecycle": "done", "TerminationMessagePath": "done",
		"TerminationMessagePolicy": "done", "ImagePullPolicy": "nothing is pulled", "SecurityContext": "done", "Stdin": "done", "StdinOnce": "done", "TTY": "done",
	},
	reflect.TypeFor[corev1.SecurityContext](): {
		"Capabilities": "done", "Privileged": "done", "SELinuxOptions": "refused", "WindowsOptions": "refused", "RunAsUser": "done", "RunAsGroup": "done",
		"RunAsNonRoot": "done", "ReadOnlyRootFilesystem": "done", "AllowPrivilegeEscalation": "done", "ProcMount": "refused", "SeccompProfile": "refused", "AppArmorProfile": "refused",
	},
	reflect.TypeFor[corev1.PodSecurityContext](): {
		"SELinuxOptions": "refused", "WindowsOptions": "refused", "RunAsUser": "done", "RunAsGroup": "done", "RunAsNonRoot": "done", "SupplementalGroups": "done",
		"SupplementalGroupsPolicy": "done", "FSGroup": "done", "Sysctls": "refused", "FSGroupChangePolicy": "of fsGroup", "SeccompProfile": "refused",
		"AppArmorProfile": "refused", "SELinuxChangePolicy": "of seLinuxOptions",
	},
	reflect.TypeFor[corev1.Lifecycle]():        {"PostStart": "done", "PreStop": "done", "StopSignal": "done"},
	reflect.TypeFor[corev1.LifecycleHandler](): {"Exec": "done", "HTTPGet": "done", "TCPSocket": "fails, as with a kubelet", "Sleep": "done"},
	reflect.TypeFor[corev1.EnvVarSource]():     {"FieldRef": "done", "ResourceFieldRef": "done", "ConfigMapKeyRef": "done", "SecretKeyRef": "done", "FileKeyRef": "done"},
	reflect.TypeFor[corev1.EnvFromSource]():    {"Prefix": "done", "ConfigMapRef": "done", "SecretRef": "done"},
}

func TestEveryFieldIsDecided(t *testing.T) {
	t.Parallel()
	for kind, fields := range decided {
		for i := range kind.NumField() {
			if name := kind.Field(i).Name; fields[name] == "" {
				t.Errorf("nobody has decided what becomes of %s.%s", kind.Name(), name)
			}
		}
		if len(fields) != kind.NumField() {
			t.Errorf("%s has %d fields, %d are listed", kind.Name(), kind.NumField(), len(fields))
		}
	}
}

// The document says of every field what becomes of it.
func TestEveryFieldIsDocumented(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/concepts/pod-fields.md")
	if err != nil {
		t.Fatal(err)
	}
	for kind := range decided {
		for i := range kind.NumField() {
			field := kind.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if kind == reflect.TypeFor[corev1.LifecycleHandler]() && name == "" {
				continue
			}
			if !strings.Contains(string(document), "`"+name+"`") {
				t.Errorf("the document lacks %s.%s, `%s`", kind.Name(), field.Name, name)
			}
		}
	}
}
