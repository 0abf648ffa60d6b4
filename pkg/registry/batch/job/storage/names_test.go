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

package storage

import (
	"context"
	"path"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/podtemplate"
	"github.com/jobserver-dev/jobserver/pkg/registry/batch/job"
)

// takenNames is a store in which the first names that are tried are taken.
type takenNames struct {
	storage.Interface
	taken int
	tried *[]string
}

// GetRESTOptions is generic.RESTOptionsGetter.
func (s takenNames) GetRESTOptions(resource schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	return generic.RESTOptions{
		StorageConfig: (&storagebackend.Config{}).ForResource(resource),
		Decorator: func(*storagebackend.ConfigForResource, string, func(runtime.Object) (string, error), func() runtime.Object, func() runtime.Object,
			storage.AttrFunc, storage.IndexerFuncs, *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
			return s, func() {}, nil
		},
		ResourcePrefix: resource.Resource,
	}, nil
}

// Create stores the object under a name that is not taken.
func (s takenNames) Create(_ context.Context, key string, obj, out runtime.Object, _ uint64) error {
	*s.tried = append(*s.tried, path.Base(key))
	if len(*s.tried) <= s.taken {
		return storage.NewKeyExistsError(key, 1)
	}
	obj.(*batch.Job).DeepCopyInto(out.(*batch.Job))
	return nil
}

// Get finds the Job whose name was taken.
func (s takenNames) Get(_ context.Context, _ string, _ storage.GetOptions, out runtime.Object) error {
	*out.(*batch.Job) = batch.Job{}
	return nil
}

// TestGeneratedNameThatIsTaken: another name is tried, seven times at most, and all that is made of the name follows.
func TestGeneratedNameThatIsTaken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		generateName string
		taken        int
		wantTries    int
		wantTaken    bool
	}{
		{name: "none", generateName: "gen-", wantTries: 1},
		{name: "three", generateName: "gen-", taken: 3, wantTries: 4},
		{name: "all", generateName: "gen-", taken: 100, wantTries: 8, wantTaken: true},
		{name: "a name that was given", taken: 1, wantTries: 1, wantTaken: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, group := range []job.Group{job.OurGroup(), job.KubeGroup(job.ProfileKubernetes)} {
				var tried []string
				jobs, err := NewJobs(takenNames{taken: test.taken, tried: &tried})
				if err != nil {
					t.Fatal(err)
				}
				resource := jobs.Serve(group, Names{}, true)["jobs"].(*REST)
				sent := newJob(test.generateName)
				created, err := resource.Create(requestContext(t), sent, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
				if apierrors.IsAlreadyExists(err) != test.wantTaken || (err != nil) != test.wantTaken {
					t.Fatalf("error %v, want AlreadyExists: %t", err, test.wantTaken)
				}
				if slices.Sort(tried); len(tried) != test.wantTries || len(slices.Compact(slices.Clone(tried))) != test.wantTries {
					t.Errorf("tried %v, want %d different names", tried, test.wantTries)
				}
				if err != nil {
					continue
				}
				stored := created.(*batch.Job)
				if got := stored.Spec.Template.Labels[batch.JobNameLabel]; got != stored.Name || !strings.HasPrefix(got, test.generateName) {
					t.Errorf("the Pods of %s are labelled as those of %s", stored.Name, got)
				}
			}
		})
	}
}

// newJob returns a Job, defaulted, that is named by the server or "job".
func newJob(generateName string) *batch.Job {
	made := &batch.Job{Spec: batch.JobSpec{
		Parallelism: new(int32(1)), Completions: new(int32(1)), BackoffLimit: new(int32(1)), ManualSelector: new(false), Suspend: new(false),
		CompletionMode: new(batch.NonIndexedCompletion), PodReplacementPolicy: new(batch.TerminatingOrFailed),
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "main", Image: "busybox"}},
		}},
	}}
	podtemplate.SetDefaults(&made.Spec.Template)
	if made.GenerateName = generateName; generateName == "" {
		made.Name = "job"
	}
	return made
}

func requestContext(t *testing.T) context.Context {
	t.Helper()
	info := &genericapirequest.RequestInfo{IsResourceRequest: true, APIVersion: "v1", Resource: "jobs", Namespace: "default"}
	return genericapirequest.WithRequestInfo(genericapirequest.WithNamespace(t.Context(), "default"), info)
}
