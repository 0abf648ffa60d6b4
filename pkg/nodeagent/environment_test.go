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
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// memorySource holds configMaps and secrets by name.
type memorySource struct {
	configMaps map[string]map[string]string
	secrets    map[string]map[string][]byte
}

func (s memorySource) ConfigMap(_ context.Context, _, name string) (*corev1.ConfigMap, error) {
	data, ok := s.configMaps[name]
	if !ok {
		return nil, apierrors.NewNotFound(corev1.Resource("configmaps"), name)
	}
	return &corev1.ConfigMap{Data: data}, nil
}

func (s memorySource) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	data, ok := s.secrets[name]
	if !ok {
		return nil, apierrors.NewNotFound(corev1.Resource("secrets"), name)
	}
	return &corev1.Secret{Data: data}, nil
}

var testSource = memorySource{
	configMaps: map[string]map[string]string{"config": {"KEY": "from-config", "SHARED": "config", "bad=name": "x"}},
	secrets:    map[string]map[string][]byte{"secret": {"KEY": []byte("from-secret"), "SHARED": []byte("secret")}},
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	field := func(path string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
	}
	amount := func(name, divisor string) *corev1.EnvVarSource {
		selector := &corev1.ResourceFieldSelector{Resource: name}
		if divisor != "" {
			selector.Divisor = resource.MustParse(divisor)
		}
		return &corev1.EnvVarSource{ResourceFieldRef: selector}
	}
	configKey := func(name, key string, optional bool) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: &optional}}
	}
	secretKey := func(name, key string, optional bool) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: &optional}}
	}
	fileKey := func(key string, optional bool) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FileKeyRef: &corev1.FileKeySelector{VolumeName: "v", Path: "a.env", Key: key, Optional: &optional}}
	}
	fromConfig := func(name, prefix string, optional bool) corev1.EnvFromSource {
		return corev1.EnvFromSource{Prefix: prefix, ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Optional: &optional}}
	}
	fromSecret := corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "secret"}}}
	tests := map[string]struct {
		env       []corev1.EnvVar
		from      []corev1.EnvFromSource
		want      map[string]string
		wantError string
	}{
		"literals": {env: []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "$(A)$(C)"}, {Name: "C", Value: "$$(A)"}}, want: map[string]string{"A": "1", "B": "1$(C)", "C": "$(A)"}},
		"fields": {env: []corev1.EnvVar{
			{Name: "NAME", ValueFrom: field("metadata.name")}, {Name: "NAMESPACE", ValueFrom: field("metadata.namespace")}, {Name: "POD_UID", ValueFrom: field("metadata.uid")},
			{Name: "LABEL", ValueFrom: field("metadata.labels['app/name']")}, {Name: "NOTE", ValueFrom: field("metadata.annotations['note']")}, {Name: "NONE", ValueFrom: field("metadata.labels['none']")},
			{Name: "NODE", ValueFrom: field("spec.nodeName")}, {Name: "ACCOUNT", ValueFrom: field("spec.serviceAccountName")},
			{Name: "POD_IP", ValueFrom: field("status.podIP")}, {Name: "HOST_IPS", ValueFrom: field("status.hostIPs")},
		}, want: map[string]string{
			"NAME": "pod", "NAMESPACE": "ns", "POD_UID": "uid", "LABEL": "web", "NOTE": "text", "NONE": "", "NODE": "node", "ACCOUNT": "robot", "POD_IP": "127.0.0.1", "HOST_IPS": "127.0.0.1",
		}},
		"unknown field": {env: []corev1.EnvVar{{Name: "A", ValueFrom: field("spec.hostname")}}, wantError: "unsupported fieldPath: spec.hostname"},
		"resources": {env: []corev1.EnvVar{
			{Name: "CPU", ValueFrom: amount("requests.cpu", "")}, {Name: "MILLI", ValueFrom: amount("requests.cpu", "1m")}, {Name: "MEMORY", ValueFrom: amount("limits.memory", "1Mi")},
			{Name: "NODE_CPU", ValueFrom: amount("limits.cpu", "")}, {Name: "UNSET", ValueFrom: amount("requests.memory", "")},
		}, want: map[string]string{"CPU": "2", "MILLI": "1500", "MEMORY": "64", "NODE_CPU": "8", "UNSET": "0"}},
		"keys":               {env: []corev1.EnvVar{{Name: "A", ValueFrom: configKey("config", "KEY", false)}, {Name: "B", ValueFrom: secretKey("secret", "KEY", false)}}, want: map[string]string{"A": "from-config", "B": "from-secret"}},
		"optional":           {env: []corev1.EnvVar{{Name: "A", ValueFrom: configKey("none", "KEY", true)}, {Name: "B", ValueFrom: secretKey("secret", "none", true)}}, from: []corev1.EnvFromSource{fromConfig("none", "", true)}, want: map[string]string{}},
		"file":               {env: []corev1.EnvVar{{Name: "A", ValueFrom: fileKey("KEY", false)}, {Name: "B", ValueFrom: fileKey("none", true)}, {Name: "C", Value: "$(A)"}}, want: map[string]string{"A": "from-file", "C": "from-file"}},
		"no key in the file": {env: []corev1.EnvVar{{Name: "A", ValueFrom: fileKey("none", false)}}, wantError: `environment variable key "none" not found in file "a.env" of volume "v"`},
		"bad file":           {env: []corev1.EnvVar{{Name: "A", ValueFrom: fileKey("bad", true)}}, wantError: "couldn't parse env file: why"},
		"no configMap":       {env: []corev1.EnvVar{{Name: "A", ValueFrom: configKey("none", "KEY", false)}}, wantError: `configmaps "none" not found`},
		"no key":             {env: []corev1.EnvVar{{Name: "A", ValueFrom: secretKey("secret", "none", false)}}, wantError: "couldn't find key none in Secret ns/secret"},
		"no envFrom":         {from: []corev1.EnvFromSource{fromConfig("none", "", false)}, wantError: `configmaps "none" not found`},
		"envFrom":            {from: []corev1.EnvFromSource{fromConfig("config", "P_", false), fromSecret}, want: map[string]string{"P_KEY": "from-config", "P_SHARED": "config", "KEY": "from-secret", "SHARED": "secret"}},
		"the last one wins":  {from: []corev1.EnvFromSource{fromSecret, fromConfig("config", "", false)}, env: []corev1.EnvVar{{Name: "KEY", Value: "own $(SHARED)"}}, want: map[string]string{"KEY": "own config", "SHARED": "config"}},
		"redefined variable": {env: []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "A", Value: "$(A)2"}}, want: map[string]string{"A": "12"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &environment{
				pod: &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "pod", UID: "uid", Labels: map[string]string{"app/name": "web"}, Annotations: map[string]string{"note": "text"}},
					Spec:       corev1.PodSpec{NodeName: "node", ServiceAccountName: "robot"},
				},
				container: &corev1.Container{Name: "main", Env: test.env, EnvFrom: test.from, Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m")},
					Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("65000Ki")},
				}},
				allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8")},
				source:      testSource,
				files: func(from *corev1.FileKeySelector) (string, error) {
					switch from.Key {
					case "KEY":
						return "from-file", nil
					case "bad":
						return "", errors.New("couldn't parse env file: why")
					}
					return "", nil
				},
			}
			err := e.compute(t.Context())
			if test.wantError != "" {
				if err == nil || err.Error() != test.wantError {
					t.Fatalf("error %v, want %s", err, test.wantError)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(e.invalid) > 0 { // the key of the configMap that can't name a variable
				if diff := cmp.Diff([]string{"bad=name"}, e.invalid); diff != "" {
					t.Errorf("invalid keys differ (-want +got):\n%s", diff)
				}
			}
			if diff := cmp.Diff(test.want, e.values); diff != "" {
				t.Errorf("variables differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEnvironmentOfTheProcess(t *testing.T) {
	t.Parallel()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("a", 62) + ".bcd"}}
	e := &environment{pod: pod, container: &corev1.Container{Env: []corev1.EnvVar{{Name: "HOME", Value: "/own"}}}, source: testSource}
	if err := e.compute(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"HOME=/own", "HOSTNAME=" + strings.Repeat("a", 62), "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if diff := cmp.Diff(want, e.list()); diff != "" {
		t.Errorf("environment differs (-want +got):\n%s", diff)
	}
	pod.Spec.Hostname = "worker-3"
	if got := hostname(pod); got != "worker-3" {
		t.Errorf("host name %s, want that of the spec", got)
	}
}

func TestDefaultLimit(t *testing.T) {
	t.Parallel()
	pod := shellPod("pod", "true")
	pod.Spec.Resources = &corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}}
	container := &pod.Spec.Containers[0]
	container.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("0")}
	allocatable := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("1Gi")}
	for name, want := range map[string]string{"limits.cpu": "2", "limits.memory": "1073741824", "limits.ephemeral-storage": "0"} {
		got, err := resourceValue(pod, container, &corev1.ResourceFieldSelector{Resource: name}, allocatable)
		if err != nil || got != want {
			t.Errorf("%s is %s (%v), want %s", name, got, err, want)
		}
	}
}
