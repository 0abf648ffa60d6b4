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

package registration_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/fake"
	apiregistrationclient "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/typed/apiregistration/v1"

	"github.com/jobserver-dev/jobserver/pkg/apiserver/aggregated/registration"
)

var (
	ours = registration.Group{GroupVersion: schema.GroupVersion{Group: "batch.jobserver.dev", Version: "v1"}, Priority: 1000}
	kube = registration.Group{GroupVersion: schema.GroupVersion{Group: "batch", Version: "v1"}, Priority: 17400}
)

func spec(change func(*apiregistrationv1.APIServiceSpec)) apiregistrationv1.APIServiceSpec {
	spec := apiregistrationv1.APIServiceSpec{
		Group: "batch.jobserver.dev", Version: "v1", GroupPriorityMinimum: 1000, VersionPriority: 15,
		Service:  &apiregistrationv1.ServiceReference{Namespace: "system", Name: "jobs", Port: new(int32(443))},
		CABundle: []byte("new"),
	}
	if change != nil {
		change(&spec)
	}
	return spec
}

func TestCheck(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		have   *apiregistrationv1.APIServiceSpec // nil: none
		bundle string                            // empty: others look after it
		want   apiregistrationv1.APIServiceSpec
		writes int
	}{
		"new":             {bundle: "new", want: spec(nil), writes: 1},
		"right":           {have: new(spec(nil)), bundle: "new", want: spec(nil)},
		"another bundle":  {have: new(spec(func(s *apiregistrationv1.APIServiceSpec) { s.CABundle = []byte("old") })), bundle: "new", want: spec(nil), writes: 1},
		"no check":        {have: new(spec(func(s *apiregistrationv1.APIServiceSpec) { s.CABundle, s.InsecureSkipTLSVerify = nil, true })), bundle: "new", want: spec(nil), writes: 1},
		"another service": {have: new(spec(func(s *apiregistrationv1.APIServiceSpec) { s.Service.Name = "else" })), bundle: "new", want: spec(nil), writes: 1},
		"priority":        {have: new(spec(func(s *apiregistrationv1.APIServiceSpec) { s.GroupPriorityMinimum = 18000 })), bundle: "new", want: spec(nil), writes: 1},
		"others' bundle": {
			have: new(spec(func(s *apiregistrationv1.APIServiceSpec) { s.CABundle = []byte("theirs") })),
			want: spec(func(s *apiregistrationv1.APIServiceSpec) { s.CABundle = []byte("theirs") }),
		},
		"others' bundle to come": {want: spec(func(s *apiregistrationv1.APIServiceSpec) { s.CABundle = nil }), writes: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := fake.NewClientset()
			services := cluster.ApiregistrationV1().APIServices()
			if test.have != nil {
				object := &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: "v1.batch.jobserver.dev"}, Spec: *test.have}
				if _, err := services.Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
				cluster.ClearActions()
			}
			registrar := newRegistrar(t, services, test.bundle, ours)
			if err := registrar.Ready(); err == nil {
				t.Error("ready before the first check")
			}
			if err := registrar.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			writes := 0
			for _, action := range cluster.Actions() {
				if verb := action.GetVerb(); verb == "create" || verb == "update" {
					writes++
				}
			}
			if writes != test.writes {
				t.Errorf("%d writes, want %d", writes, test.writes)
			}
			got, err := services.Get(t.Context(), "v1.batch.jobserver.dev", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got.Spec); diff != "" {
				t.Errorf("APIService (-want +got):\n%s", diff)
			}
			if err := registrar.Ready(); err != nil {
				t.Errorf("not ready: %v", err)
			}
			if !registrar.Published([]byte(test.bundle)) || registrar.Published([]byte("newer")) {
				t.Error("does not know which bundle is published")
			}
		})
	}
}

// TestServedByTheCluster: batch/v1 is not taken from an API server that serves it.
func TestServedByTheCluster(t *testing.T) {
	t.Parallel()
	local := &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: "v1.batch"},
		Spec:       apiregistrationv1.APIServiceSpec{Group: "batch", Version: "v1", GroupPriorityMinimum: 17400, VersionPriority: 15},
	}
	services := fake.NewClientset(local).ApiregistrationV1().APIServices()
	registrar := newRegistrar(t, services, "new", ours, kube)
	err := registrar.Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "v1.batch:") || !strings.Contains(err.Error(), "--runtime-config=batch/v1=false") {
		t.Errorf("error %v, want one that names v1.batch and says what to do", err)
	}
	if registrar.Ready() == nil || registrar.Published([]byte("new")) {
		t.Error("ready nevertheless")
	}
	if _, err := services.Get(t.Context(), "v1.batch.jobserver.dev", metav1.GetOptions{}); err != nil {
		t.Errorf("our own group is not registered: %v", err)
	}
	got, err := services.Get(t.Context(), "v1.batch", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(local.Spec, got.Spec); diff != "" {
		t.Errorf("v1.batch was changed (-want +got):\n%s", diff)
	}
}

func newRegistrar(t *testing.T, services apiregistrationclient.APIServiceInterface, bundle string, groups ...registration.Group) *registration.Registrar {
	t.Helper()
	config := registration.Config{
		APIServices: services, Groups: groups,
		Service: registration.Service{Namespace: "system", Name: "jobs", Port: 443},
	}
	if bundle != "" {
		config.Bundle = func() []byte { return []byte(bundle) }
	}
	registrar, err := registration.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return registrar
}
