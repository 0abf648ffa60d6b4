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

package aggregated

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// stopTime is how long the server may take to stop: the sum of what its stages may.
const stopTime = 22 * time.Second

// overlays are all that the manifests offer.
var overlays = []string{"embedded-etcd", "external-etcd", "replace"}

// overlay is what an overlay installs, as the manifests say it.
type overlay struct {
	objects  []unstructured.Unstructured
	workload metav1.ObjectMeta
	replicas int32
	pod      corev1.PodTemplateSpec
	// claims are the volumes that each Pod gets of its own.
	claims   []corev1.PersistentVolumeClaim
	service  corev1.Service
	policies []networkingv1.NetworkPolicy
	budgets  []policyv1.PodDisruptionBudget
	roles    []rbacv1.PolicyRule
}

// readOverlay renders an overlay without any change.
func readOverlay(t *testing.T, name string) overlay {
	t.Helper()
	rendered := shared.admin.run(t, "kustomize", path.Join(*manifestsPath, "overlays", name))
	o := overlay{replicas: 1}
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(rendered), 4096)
	for {
		var object unstructured.Unstructured
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		o.objects = append(o.objects, object)
		o.take(t, object)
	}
	if o.workload.Name == "" || o.service.Name == "" || len(o.policies) == 0 {
		t.Fatalf("overlay %s has no workload, no Service or no NetworkPolicy", name)
	}
	return o
}

func (o *overlay) take(t *testing.T, object unstructured.Unstructured) {
	t.Helper()
	into := func(typed any) {
		t.Helper()
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, typed); err != nil {
			t.Fatal(err)
		}
	}
	switch object.GetKind() {
	case "Deployment":
		var d appsv1.Deployment
		into(&d)
		o.workload, o.replicas, o.pod = d.ObjectMeta, *d.Spec.Replicas, d.Spec.Template
		checkSelects(t, "the Deployment", d.Spec.Selector, o.pod.Labels)
	case "StatefulSet":
		var s appsv1.StatefulSet
		into(&s)
		o.workload, o.replicas, o.pod, o.claims = s.ObjectMeta, *s.Spec.Replicas, s.Spec.Template, s.Spec.VolumeClaimTemplates
		checkSelects(t, "the StatefulSet", s.Spec.Selector, o.pod.Labels)
	case "Service":
		into(&o.service)
	case "NetworkPolicy":
		o.policies = append(o.policies, networkingv1.NetworkPolicy{})
		into(&o.policies[len(o.policies)-1])
	case "PodDisruptionBudget":
		o.budgets = append(o.budgets, policyv1.PodDisruptionBudget{})
		into(&o.budgets[len(o.budgets)-1])
	case "ClusterRole", "Role":
		var role rbacv1.ClusterRole
		into(&role)
		if role.Name == accountName {
			o.roles = append(o.roles, role.Rules...)
		}
	}
}

// arg is the value of a flag of the container; "" where it is not there.
func (o overlay) arg(name string) string {
	for _, arg := range o.pod.Spec.Containers[0].Args {
		if value, found := strings.CutPrefix(arg, "--"+name+"="); found {
			return value
		}
	}
	return ""
}

func checkSelects(t *testing.T, who string, selector *metav1.LabelSelector, podLabels map[string]string) {
	t.Helper()
	selects, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	if selects.Empty() || !selects.Matches(labels.Set(podLabels)) {
		t.Errorf("%s selects %s, the Pods have %v", who, selects, podLabels)
	}
}

// TestOverlays holds what the objects of an overlay say of each other against each other, and against the binary's flags.
func TestOverlays(t *testing.T) {
	t.Parallel()
	help, err := exec.Command(*apiserverPath, "--help").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range overlays {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := readOverlay(t, name)
			for _, arg := range o.pod.Spec.Containers[0].Args {
				flag, _, _ := strings.Cut(arg, "=")
				if !strings.Contains(string(help), " "+flag+" ") {
					t.Errorf("the server has no flag %s", flag)
				}
			}
			o.checkPorts(t)
			o.checkFiles(t)
			o.checkEnd(t)
			o.checkReplicas(t)
			o.checkNetwork(t)
		})
	}
}

// checkPorts follows a request from the registration to the port that the process opens.
func (o overlay) checkPorts(t *testing.T) {
	t.Helper()
	container := o.pod.Spec.Containers[0]
	if len(container.Ports) != 1 || strconv.Itoa(int(container.Ports[0].ContainerPort)) != o.arg("secure-port") {
		t.Fatalf("ports %v, --secure-port=%s", container.Ports, o.arg("secure-port"))
	}
	port := container.Ports[0]
	leads := func(target intstr.IntOrString) bool {
		return target.String() == port.Name || target.IntVal == port.ContainerPort
	}
	if address := o.arg("bind-address"); address != "0.0.0.0" && address != "::" {
		t.Errorf("--bind-address=%s: nobody reaches that", address)
	}
	checkSelects(t, "the Service", metav1.SetAsLabelSelector(o.service.Spec.Selector), o.pod.Labels)
	if len(o.service.Spec.Ports) != 1 || !leads(o.service.Spec.Ports[0].TargetPort) {
		t.Errorf("the Service leads to %v, the container has %v", o.service.Spec.Ports, port)
	}
	for name, want := range map[string]string{"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"} {
		probe := map[string]*corev1.Probe{"startup": container.StartupProbe, "liveness": container.LivenessProbe, "readiness": container.ReadinessProbe}[name]
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != want || probe.HTTPGet.Scheme != corev1.URISchemeHTTPS || !leads(probe.HTTPGet.Port) {
			t.Errorf("%s probe: %v, want %s by HTTPS on %v", name, probe, want, port)
		}
	}
	registered := 0
	for _, object := range o.objects {
		if object.GetKind() != "APIService" {
			continue
		}
		registered++
		to, _, _ := unstructured.NestedMap(object.Object, "spec", "service")
		if to["name"] != o.service.Name || to["namespace"] != o.service.Namespace || fmt.Sprint(to["port"]) != fmt.Sprint(o.service.Spec.Ports[0].Port) {
			t.Errorf("APIService %s leads to %v, the Service is %s/%s %v", object.GetName(), to, o.service.Namespace, o.service.Name, o.service.Spec.Ports)
		}
		if _, insecure, _ := unstructured.NestedFieldNoCopy(object.Object, "spec", "insecureSkipTLSVerify"); insecure {
			t.Errorf("APIService %s has insecureSkipTLSVerify", object.GetName())
		}
	}
	// batch/v1 is registered where it is served, and nowhere else.
	if want := 1 + strings.Count(strings.Join(container.Args, " ")+" ", "--serve-batch-v1 "); registered != want {
		t.Error(describeCount("APIServices", registered, want))
	}
}

// checkFiles sees that every file and folder of the flags is in a volume, as all else can't be written, or is not there.
func (o overlay) checkFiles(t *testing.T) {
	t.Helper()
	container := o.pod.Spec.Containers[0]
	volumes := map[string]bool{}
	for _, volume := range o.pod.Spec.Volumes {
		volumes[volume.Name] = true
	}
	for _, claim := range o.claims {
		volumes[claim.Name] = true
	}
	for _, arg := range container.Args {
		_, value, _ := strings.Cut(arg, "=")
		if !strings.HasPrefix(value, "/") {
			continue
		}
		if !slices.ContainsFunc(container.VolumeMounts, func(mount corev1.VolumeMount) bool {
			return volumes[mount.Name] && (value == mount.MountPath || strings.HasPrefix(value, mount.MountPath+"/"))
		}) {
			t.Errorf("%s is in no volume", arg)
		}
	}
	if o.arg("data-dir") == "" && o.arg("etcd-servers") == "" {
		t.Error("there is neither --data-dir nor --etcd-servers")
	}
	for _, flag := range []string{"etcd-cafile", "etcd-certfile", "etcd-keyfile"} {
		if (o.arg("etcd-servers") != "") != (o.arg(flag) != "") {
			t.Errorf("--etcd-servers=%s --%s=%s: etcd is called over mutual TLS or is in the process", o.arg("etcd-servers"), flag, o.arg(flag))
		}
	}
}

// checkEnd sees that a Pod has the time to leave in good order.
func (o overlay) checkEnd(t *testing.T) {
	t.Helper()
	lifecycle := o.pod.Spec.Containers[0].Lifecycle
	if lifecycle == nil || lifecycle.PreStop == nil || lifecycle.PreStop.Sleep == nil || lifecycle.PreStop.Sleep.Seconds < 5 {
		t.Fatalf("lifecycle: %v, want a pause in which the cluster learns that the Pod goes", lifecycle)
	}
	grace := time.Duration(*o.pod.Spec.TerminationGracePeriodSeconds) * time.Second
	if pause := time.Duration(lifecycle.PreStop.Sleep.Seconds) * time.Second; pause+stopTime > grace {
		t.Errorf("the Pod is killed after %s, a pause of %s and a stop of %s don't fit", grace, pause, stopTime)
	}
}

// checkReplicas sees what there is to several replicas, and that one has no budget, which would keep its node from being drained.
func (o overlay) checkReplicas(t *testing.T) {
	t.Helper()
	if o.replicas == 1 {
		if len(o.budgets) > 0 {
			t.Errorf("a PodDisruptionBudget for one replica: %v", o.budgets)
		}
		return
	}
	if len(o.budgets) != 1 || o.budgets[0].Spec.MaxUnavailable == nil || o.budgets[0].Spec.MaxUnavailable.IntVal >= o.replicas {
		t.Fatalf("PodDisruptionBudgets of %d replicas: %v", o.replicas, o.budgets)
	}
	checkSelects(t, "the PodDisruptionBudget", o.budgets[0].Spec.Selector, o.pod.Labels)
	if len(o.pod.Spec.TopologySpreadConstraints) == 0 {
		t.Error("nothing keeps the replicas off one node")
	}
	for _, spread := range o.pod.Spec.TopologySpreadConstraints {
		checkSelects(t, "the spread over "+spread.TopologyKey, spread.LabelSelector, o.pod.Labels)
	}
}

// checkNetwork sees that the NetworkPolicies let through what is needed: requests, DNS, the cluster's API server, its webhooks, etcd.
func (o overlay) checkNetwork(t *testing.T) {
	t.Helper()
	var in, out []networkingv1.NetworkPolicyPort
	webhooks := false
	for _, policy := range o.policies {
		checkSelects(t, "NetworkPolicy "+policy.Name, &policy.Spec.PodSelector, o.pod.Labels)
		for _, rule := range policy.Spec.Ingress {
			in = append(in, rule.Ports...)
		}
		for _, rule := range policy.Spec.Egress {
			if len(rule.To) == 0 {
				out = append(out, rule.Ports...)
			}
			webhooks = webhooks || len(rule.Ports) == 0 && len(rule.To) == 1 && rule.To[0].IPBlock == nil && rule.To[0].PodSelector == nil &&
				rule.To[0].NamespaceSelector != nil && len(rule.To[0].NamespaceSelector.MatchLabels)+len(rule.To[0].NamespaceSelector.MatchExpressions) == 0
		}
	}
	want := []string{"UDP 53", "TCP 53", "TCP 443", "TCP 6443"}
	for server := range strings.SplitSeq(o.arg("etcd-servers"), ",") {
		if server == "" {
			continue
		}
		address, err := url.Parse(server)
		if err != nil || address.Scheme != "https" {
			t.Fatalf("--etcd-servers=%s: %v", server, err)
		}
		want = append(want, "TCP "+address.Port())
	}
	for _, port := range want {
		if !slices.Contains(portNames(out), port) {
			t.Errorf("%s is not let out: %v", port, portNames(out))
		}
	}
	if port := "TCP " + o.arg("secure-port"); !slices.Contains(portNames(in), port) {
		t.Errorf("%s is not let in: %v", port, portNames(in))
	}
	if !webhooks {
		t.Error("webhooks of the cluster are not let out to: their Pods listen on any port")
	}
}

func portNames(ports []networkingv1.NetworkPolicyPort) []string {
	var names []string
	for _, port := range ports {
		names = append(names, fmt.Sprintf("%s %s", *port.Protocol, port.Port.String()))
	}
	return names
}

// TestRestricted has a real API server admit a Pod of each overlay in the namespace that the manifests make, under the strictest of its standards, and refuse
// one that asks for more.
func TestRestricted(t *testing.T) {
	t.Parallel()
	for _, name := range overlays {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := readOverlay(t, name)
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "tried-", Namespace: o.workload.Namespace, Labels: o.pod.Labels}, Spec: o.pod.Spec}
			for _, claim := range o.claims {
				source := corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name}}
				pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: claim.Name, VolumeSource: source})
			}
			pods := shared.kube.CoreV1().Pods(o.workload.Namespace)
			dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict}
			if _, err := pods.Create(t.Context(), pod, dry); err != nil {
				t.Errorf("a Pod of the overlay: %v", err)
			}
			for _, container := range pod.Spec.Containers {
				if security := container.SecurityContext; security == nil || security.ReadOnlyRootFilesystem == nil || !*security.ReadOnlyRootFilesystem {
					t.Errorf("container %s can write to its root", container.Name)
				}
			}
			yes := true
			pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = &yes
			if _, err := pods.Create(t.Context(), pod, dry); err == nil || !strings.Contains(err.Error(), `violates PodSecurity "restricted:latest"`) {
				t.Errorf("a Pod that may get more rights: %v", err)
			}
		})
	}
}
