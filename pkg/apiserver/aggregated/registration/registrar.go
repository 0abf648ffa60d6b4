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

// Package registration keeps the APIServices of a server right, by which a cluster's API server knows what to send to it and whom to
// find there.
package registration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	apiregistrationclient "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/typed/apiregistration/v1"
)

const (
	// checkPeriod is how often the APIServices are looked at: what somebody changed in them is put right within it.
	checkPeriod = 10 * time.Second

	// maxAttempts is how often one check may lose against another writer.
	maxAttempts = 5
)

// Group is what is registered.
type Group struct {
	schema.GroupVersion
	// Priority orders groups with resources of the same name: the higher one is what kubectl takes "jobs" for. batch has 17400.
	Priority int32
}

// versionPriority orders the versions of a group. There is one.
const versionPriority = 15

// Name is the name of the group's APIService.
func (g Group) Name() string { return g.Version + "." + g.GroupVersion.Group }

// Service is where the cluster's API server finds us.
type Service struct {
	Namespace, Name string
	Port            int32
}

// Config is what a Registrar is made of.
type Config struct {
	// APIServices are those of the cluster. Required.
	APIServices apiregistrationclient.APIServiceInterface
	Groups      []Group
	Service     Service
	// Bundle returns the certificates to trust, in PEM. Nil: somebody else looks after caBundle, and it is left alone.
	Bundle func() []byte
}

// Registrar registers groups. Make it with New.
type Registrar struct {
	config Config
	wake   chan struct{}

	mu        sync.Mutex
	published []byte
	last      error
}

// New returns a Registrar.
func New(config Config) (*Registrar, error) {
	if config.APIServices == nil || len(config.Groups) == 0 || config.Service.Name == "" || config.Service.Namespace == "" || config.Service.Port == 0 {
		return nil, errors.New("registration: APIServices, Groups and Service are required")
	}
	return &Registrar{config: config, wake: make(chan struct{}, 1), last: errors.New("not registered yet")}, nil
}

// Run keeps the APIServices right until ctx ends.
func (r *Registrar) Run(ctx context.Context) {
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		before := r.Ready()
		err := r.Check(ctx)
		if err != nil && ctx.Err() == nil && (before == nil || before.Error() != err.Error()) {
			klog.FromContext(ctx).Error(err, "Failed to register, trying again")
		}
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-time.After(checkPeriod):
		}
	}, 0)
}

// Wake has the APIServices looked at now: the bundle has changed, say.
func (r *Registrar) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Check puts every APIService right. The error names each one that could not be.
func (r *Registrar) Check(ctx context.Context) error {
	var bundle []byte
	if r.config.Bundle != nil {
		if bundle = r.config.Bundle(); len(bundle) == 0 {
			return errors.New("registration: there is no certificate yet")
		}
	}
	var errs []error
	for _, group := range r.config.Groups {
		if err := r.register(ctx, group, bundle); err != nil {
			errs = append(errs, fmt.Errorf("APIService %s: %w", group.Name(), err))
		}
	}
	err := errors.Join(errs...)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = err
	if err == nil {
		r.published = bundle
	}
	return err
}

// Ready returns nil where the last check went well, else what was wrong.
func (r *Registrar) Ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Published tells whether every APIService has had this bundle.
func (r *Registrar) Published(bundle []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Equal(r.published, bundle)
}

func (r *Registrar) register(ctx context.Context, group Group, bundle []byte) error {
	var err error
	for range maxAttempts {
		if err = r.registerOnce(ctx, group, bundle); !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return err
}

func (r *Registrar) registerOnce(ctx context.Context, group Group, bundle []byte) error {
	have, err := r.config.APIServices.Get(ctx, group.Name(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		made := &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: group.Name()}}
		r.complete(made, group, bundle)
		if _, err := r.config.APIServices.Create(ctx, made, metav1.CreateOptions{}); err != nil {
			return err
		}
		klog.FromContext(ctx).Info("Registered", "apiService", group.Name())
		return nil
	}
	if err != nil {
		return err
	}
	if have.Spec.Service == nil {
		return fmt.Errorf("the cluster's API server serves %s itself; switch that off (--runtime-config=%s=false) to have it served here",
			group.GroupVersion, group.GroupVersion)
	}
	want := have.DeepCopy()
	r.complete(want, group, bundle)
	if equality.Semantic.DeepEqual(have.Spec, want.Spec) {
		return nil
	}
	if _, err := r.config.APIServices.Update(ctx, want, metav1.UpdateOptions{}); err != nil {
		return err
	}
	klog.FromContext(ctx).Info("Updated the registration", "apiService", group.Name(), "newBundle", !bytes.Equal(have.Spec.CABundle, want.Spec.CABundle))
	return nil
}

// complete fills in what is ours to say. Calls without a check of the certificate are never allowed.
func (r *Registrar) complete(service *apiregistrationv1.APIService, group Group, bundle []byte) {
	spec := &service.Spec
	spec.Group, spec.Version = group.GroupVersion.Group, group.Version
	spec.GroupPriorityMinimum, spec.VersionPriority = group.Priority, versionPriority
	spec.Service = &apiregistrationv1.ServiceReference{Namespace: r.config.Service.Namespace, Name: r.config.Service.Name, Port: &r.config.Service.Port}
	spec.InsecureSkipTLSVerify = false
	if bundle != nil {
		spec.CABundle = slices.Clone(bundle)
	}
}
