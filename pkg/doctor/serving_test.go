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

package doctor

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// brokenServing have something wrong with the server, or with the way to it.
var brokenServing = map[string]breakage{
	"it starts, and waits for the cluster": {
		func(t *testing.T, f *Facts) {
			f.Handshake.Value, _ = issue(t, "jobserver-starting", now.Add(90*24*time.Hour))
			f.Readyz = Response{Code: 503, Body: "[-]start waiting for the cluster's API server\nreadyz check failed\n"}
		},
		map[string]verdict{"certificate": {Unknown, "starting", ""}, "health and etcd": {Bad, "waiting for the cluster's API server", "kubectl auth reconcile"}},
	},
	"server out of sight": {
		func(_ *testing.T, f *Facts) {
			f.Handshake.Err, f.Readyz.Err = errors.New("no route"), errors.New("no route")
		},
		map[string]verdict{"certificate": {Unknown, "no route", ""}, "health and etcd": {Unknown, "no route", ""}},
	},
	"no such port": {
		func(_ *testing.T, f *Facts) { f.Service.Value.Spec.Ports[0] = corev1.ServicePort{Port: 8443} },
		map[string]verdict{
			"service":   {Bad, "no port 443", `kubectl patch apiservice v1.batch.jobserver.dev --type=merge -p '{"spec":{"service":{"port":8443}}}'`},
			"endpoints": {Bad, "no such port", "see the link of the service"},
		},
	},
	"image can't be pulled": {
		func(_ *testing.T, f *Facts) {
			f.Slices.Value[0].Endpoints[0].Conditions.Ready = ptr.To(false)
			f.Pods.Value = []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "jobserver-0"}, Status: corev1.PodStatus{
				ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}}},
			}}}
		},
		map[string]verdict{"endpoints": {Bad, "jobserver-0: ImagePullBackOff", "describe pods"}},
	},
	"scaled to nothing": {
		func(_ *testing.T, f *Facts) { f.Slices.Value, f.Workloads.Value[0].Replicas = nil, 0 },
		map[string]verdict{"endpoints": {Bad, "scaled to 0", "kubectl scale -n jobserver-system statefulset/jobserver --replicas=1"}},
	},
	"nobody makes Pods": {
		func(_ *testing.T, f *Facts) { f.Slices.Value, f.Workloads.Value = nil, nil },
		map[string]verdict{"endpoints": {Bad, "nor a Deployment", "kubectl apply -k artifacts/kustomize/overlays/embedded-etcd"}},
	},
	"Pods are not made": {
		func(_ *testing.T, f *Facts) { f.Slices.Value = nil },
		map[string]verdict{"endpoints": {Bad, "is to have 1", "kubectl describe -n jobserver-system statefulset/jobserver"}},
	},
	"selector of others": {
		func(_ *testing.T, f *Facts) {
			f.Slices.Value, f.Service.Value.Spec.Selector = nil, map[string]string{"app": "other"}
		},
		map[string]verdict{"endpoints": {
			Bad, `selects Pods with "app=other"`,
			`kubectl patch service -n jobserver-system jobserver --type=json -p '[{"op":"add","path":"/spec/selector","value":{"app.kubernetes.io/name":"jobserver"}}]'`,
		}},
	},
	"target port of others": {
		func(_ *testing.T, f *Facts) { f.Slices.Value[0].Ports = nil },
		map[string]verdict{"endpoints": {Bad, "no such port", `"path":"/spec/ports/0/targetPort","value":"https"`}},
	},
	"etcd is gone": {
		func(_ *testing.T, f *Facts) {
			f.Readyz = Response{Code: 500, Body: "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"}
		},
		map[string]verdict{"health and etcd": {Bad, "etcd failed", "--etcd-servers"}},
	},
	"clock is wrong": {
		func(_ *testing.T, f *Facts) { f.Discovery.Date = now.Add(-5 * time.Minute) },
		map[string]verdict{"clocks": {Bad, "the clock of our server is 5m0s behind that of this machine; the clock of our server is 5m1s behind that of the cluster's API server", "chronyc"}},
	},
	"clocks are wrong in two directions": {
		func(_ *testing.T, f *Facts) {
			f.ClusterDate, f.Discovery.Date = now.Add(-20*time.Second), now.Add(20*time.Second)
		},
		map[string]verdict{"clocks": {Bad, "the clock of our server is 40s ahead of that of the cluster's API server", "chronyc"}},
	},
	"clock of a server that the cluster does not reach": {
		func(_ *testing.T, f *Facts) {
			f.Discovery, f.Readyz.Date = Response{Code: 503, Body: "service unavailable", Date: now}, now.Add(time.Hour)
		},
		map[string]verdict{"request": {Bad, "503", ""}, "delegated call": {Unknown, "", ""}, "clocks": {Bad, "our server is 1h0m0s ahead of", ""}},
	},
}
