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

package compare

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	kubebatch "k8s.io/kubernetes/pkg/apis/batch"
	_ "k8s.io/kubernetes/pkg/apis/batch/install" // registers upstream's Jobs in legacyscheme
	_ "k8s.io/kubernetes/pkg/apis/core/install"  // and their Pod templates
	kubejob "k8s.io/kubernetes/pkg/registry/batch/job"
	kubestorage "k8s.io/kubernetes/pkg/registry/batch/job/storage"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/install"
	ourjob "github.com/jobserver-dev/jobserver/pkg/registry/batch/job"
	ourstorage "github.com/jobserver-dev/jobserver/pkg/registry/batch/job/storage"
)

// A side is one implementation of batch/v1 Jobs.
type side struct {
	name     string
	scheme   *runtime.Scheme
	newHub   func() runtime.Object
	jobs     jobsREST
	status   statusREST
	create   rest.RESTCreateStrategy
	update   rest.RESTUpdateStrategy
	statuses rest.RESTUpdateStrategy
	attrs    func(runtime.Object) (labels.Set, fields.Set, error)
	// addHidden gives a stored Job what batch/v1 doesn't show of it.
	addHidden func(runtime.Object)
}

// jobsREST is what both REST types of jobs have that clients see.
type jobsREST interface {
	rest.StandardStorage
	rest.CategoriesProvider
	rest.SingularNameProvider
	rest.ResetFieldsStrategy
}

// statusREST is the same of jobs/status.
type statusREST interface {
	rest.Patcher
	rest.TableConvertor
	rest.ResetFieldsStrategy
}

// newUpstream returns Kubernetes' side: its own registry, feature gates at their defaults.
func newUpstream() (*side, error) {
	jobs, err := kubestorage.NewStorage(noStorage{})
	if err != nil {
		return nil, fmt.Errorf("upstream's storage: %w", err)
	}
	return &side{
		name:      "Kubernetes",
		scheme:    legacyscheme.Scheme,
		newHub:    func() runtime.Object { return &kubebatch.Job{} },
		jobs:      jobs.Job,
		status:    jobs.Status,
		create:    jobs.Job.CreateStrategy,
		update:    jobs.Job.UpdateStrategy,
		statuses:  kubejob.StatusStrategy,
		attrs:     kubejob.GetAttrs,
		addHidden: func(runtime.Object) {},
	}, nil
}

// newOurs returns our side: batch/v1 with Kubernetes' profile.
func newOurs() (*side, error) {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	jobs, err := ourstorage.NewJobs(noStorage{})
	if err != nil {
		return nil, fmt.Errorf("our storage: %w", err)
	}
	group := ourjob.KubeGroup(ourjob.ProfileKubernetes)
	served := jobs.Serve(group, ourstorage.Names{Categories: []string{"all"}}, true)
	main := served["jobs"].(*ourstorage.REST)
	return &side{
		name:      "jobserver",
		scheme:    scheme,
		newHub:    func() runtime.Object { return &batch.Job{} },
		jobs:      main,
		status:    served["jobs/status"].(*ourstorage.StatusREST),
		create:    main.CreateStrategy,
		update:    main.UpdateStrategy,
		statuses:  ourjob.NewStatusStrategy(group),
		attrs:     ourjob.GetAttrs,
		addHidden: addPolicies,
	}, nil
}

// addPolicies gives a Job the policies that it has had since it was created with Kubernetes' profile.
func addPolicies(hub runtime.Object) {
	spec := &hub.(*batch.Job).Spec
	spec.DisruptionPolicy, spec.SuspendPolicy = new(batch.DisruptionCount), new(batch.SuspendDeletePods)
	if spec.Completions == nil {
		spec.WorkQueuePolicy = new(batch.WorkQueueCompleteOnFirstSuccess)
	}
}

// decoded returns job as this side's API server has it after decoding a request or what etcd holds: defaulted, and in the hub's form.
// The defaults are put into job itself; the hub shares memory with it, as it does in the server.
func (s *side) decoded(job *batchv1.Job) (runtime.Object, error) {
	s.scheme.Default(job)
	hub := s.newHub()
	if err := s.scheme.Convert(job, hub, nil); err != nil {
		return nil, fmt.Errorf("%s: to the hub: %w", s.name, err)
	}
	return hub, nil
}

// encoded returns hub as a batch/v1 client gets it.
func (s *side) encoded(hub runtime.Object) (*batchv1.Job, error) {
	job := &batchv1.Job{}
	if err := s.scheme.Convert(hub, job, nil); err != nil {
		return nil, fmt.Errorf("%s: from the hub: %w", s.name, err)
	}
	return job, nil
}

// noStorage gives stores that know no object: nothing compared here gets as far as etcd.
type noStorage struct{}

var _ generic.RESTOptionsGetter = noStorage{}

// GetRESTOptions is generic.RESTOptionsGetter.
func (noStorage) GetRESTOptions(resource schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	return generic.RESTOptions{
		StorageConfig: (&storagebackend.Config{}).ForResource(resource),
		Decorator: func(*storagebackend.ConfigForResource, string, func(runtime.Object) (string, error), func() runtime.Object, func() runtime.Object,
			storage.AttrFunc, storage.IndexerFuncs, *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
			return emptyStorage{}, func() {}, nil
		},
		ResourcePrefix: resource.Resource,
	}, nil
}

// emptyStorage has no objects. Whatever is not defined here panics.
type emptyStorage struct{ storage.Interface }

func (emptyStorage) Get(_ context.Context, key string, _ storage.GetOptions, _ runtime.Object) error {
	return storage.NewKeyNotFoundError(key, 0)
}

func (emptyStorage) GetList(context.Context, string, storage.ListOptions, runtime.Object) error {
	return nil
}
