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

package suite

import (
	"encoding/json"
	"fmt"
	"maps"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// Fields are fields of an object in JSON, beside or instead of those of a typed one.
type Fields = map[string]any

// kubernetesPolicies are the fields of jobserver's group that make a Job behave as in Kubernetes.
func kubernetesPolicies(spec batchv1.JobSpec) Fields {
	fields := Fields{"disruptionPolicy": "Count", "suspendPolicy": "DeletePods"}
	if spec.Completions == nil && spec.Parallelism != nil {
		fields["workQueuePolicy"] = "CompleteOnFirstSuccess"
	}
	if spec.BackoffLimit == nil && spec.BackoffLimitPerIndex == nil {
		fields["backoffLimit"] = int64(6)
	}
	return fields
}

// API is the dynamic client of Jobs in the test's namespace and group, for what has no method of T.
func (t *T) API() dynamic.ResourceInterface {
	return t.dynamic.Resource(t.Target().Jobs).Namespace(t.namespace)
}

// APIOf is API through a group of choice, for tests that need both.
func (t *T) APIOf(group string) dynamic.ResourceInterface {
	resource := t.Target().Jobs
	resource.Group, resource.Version = group, "v1"
	return t.dynamic.Resource(resource).Namespace(t.namespace)
}

// Object returns a typed Job as the test's group has it in JSON, with further fields of its spec.
func (t *T) Object(job *batchv1.Job, spec ...Fields) *unstructured.Unstructured {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(job)
	t.Must(err)
	object := &unstructured.Unstructured{Object: content}
	object.SetAPIVersion(t.Target().Jobs.GroupVersion().String())
	object.SetKind("Job")
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(content, "spec", "template", "metadata", "creationTimestamp")
	if status, _ := content["status"].(Fields); len(status) == 0 {
		delete(content, "status")
	}
	inner := content["spec"].(Fields)
	if t.test.KubernetesPolicies && t.Group() == GroupJobserver && job.UID == "" {
		maps.Copy(inner, kubernetesPolicies(job.Spec))
	}
	for _, fields := range spec {
		maps.Copy(inner, fields)
	}
	return object
}

// typed returns a Job as Kubernetes' type. Fields that only jobserver's group has are not in it.
func (t *T) typed(object *unstructured.Unstructured) *batchv1.Job {
	job := &batchv1.Job{}
	t.Must(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, job))
	return job
}

// result is what a write of a Job led to: the Job or an error.
func (t *T) result(object *unstructured.Unstructured, err error) (*batchv1.Job, error) {
	if err != nil {
		return nil, err
	}
	return t.typed(object), nil
}

// TryCreate creates a Job, with further fields of the spec.
func (t *T) TryCreate(job *batchv1.Job, spec ...Fields) (*batchv1.Job, error) {
	return t.result(t.API().Create(t.ctx, t.Object(job, spec...), metav1.CreateOptions{}))
}

// Create creates a Job, which must be possible.
func (t *T) Create(job *batchv1.Job, spec ...Fields) *batchv1.Job {
	created, err := t.TryCreate(job, spec...)
	if err != nil {
		t.Fatalf("create the Job %q: %v", job.Name, err)
	}
	return created
}

// Get reads a Job.
func (t *T) Get(job *batchv1.Job) *batchv1.Job {
	found, err := t.TryGet(job.Name)
	if err != nil {
		t.Fatalf("get the Job %q: %v", job.Name, err)
	}
	return found
}

// TryGet reads the Job of a name.
func (t *T) TryGet(name string) (*batchv1.Job, error) {
	return t.result(t.API().Get(t.ctx, name, metav1.GetOptions{}))
}

// GetFields reads a Job with all the fields that the test's group has.
func (t *T) GetFields(job *batchv1.Job) *unstructured.Unstructured {
	found, err := t.API().Get(t.ctx, job.Name, metav1.GetOptions{})
	t.Must(err)
	return found
}

// TryUpdate changes a Job as it is now and puts it back, once. The error is the server's.
func (t *T) TryUpdate(job *batchv1.Job, change func(job *batchv1.Job)) (*batchv1.Job, error) {
	return t.put(job, change, "")
}

// TryUpdateStatus is TryUpdate through the status subresource.
func (t *T) TryUpdateStatus(job *batchv1.Job, change func(job *batchv1.Job)) (*batchv1.Job, error) {
	return t.put(job, change, "status")
}

// put replaces a Job, keeping the fields that the typed Job doesn't have. Where another writer is quicker, it starts again: the
// controller may write at any time.
func (t *T) put(job *batchv1.Job, change func(job *batchv1.Job), subresource string) (updated *batchv1.Job, _ error) {
	return updated, tolerate(func() error {
		current := t.GetFields(job)
		changed := t.typed(current)
		change(changed)
		object := t.Object(changed)
		if subresource == "" && t.Group() == GroupJobserver {
			for _, name := range []string{"disruptionPolicy", "suspendPolicy", "workQueuePolicy"} {
				if value, found, _ := unstructured.NestedFieldNoCopy(current.Object, "spec", name); found {
					object.Object["spec"].(Fields)[name] = value
				}
			}
		}
		var err error
		if subresource == "" {
			updated, err = t.result(t.API().Update(t.ctx, object, metav1.UpdateOptions{}))
		} else {
			updated, err = t.result(t.API().UpdateStatus(t.ctx, object, metav1.UpdateOptions{}))
		}
		return err
	})
}

// Update changes a Job, which must be possible.
func (t *T) Update(job *batchv1.Job, change func(job *batchv1.Job)) *batchv1.Job {
	updated, err := t.TryUpdate(job, change)
	if err != nil {
		t.Fatalf("update the Job %q: %v", job.Name, err)
	}
	return updated
}

// UpdateStatus changes the status of a Job, which must be possible.
func (t *T) UpdateStatus(job *batchv1.Job, change func(job *batchv1.Job)) *batchv1.Job {
	updated, err := t.TryUpdateStatus(job, change)
	if err != nil {
		t.Fatalf("update the status of the Job %q: %v", job.Name, err)
	}
	return updated
}

// TryPatch patches a Job, or a subresource of it, with a patch in JSON of a type.
func (t *T) TryPatch(job *batchv1.Job, kind types.PatchType, patch string, subresources ...string) (*batchv1.Job, error) {
	return t.result(t.API().Patch(t.ctx, job.Name, kind, []byte(patch), metav1.PatchOptions{}, subresources...))
}

// PatchSpec merges fields into the spec of a Job, which must be possible.
func (t *T) PatchSpec(job *batchv1.Job, spec Fields) *batchv1.Job {
	patch, err := json.Marshal(Fields{"spec": spec})
	t.Must(err)
	patched, err := t.TryPatch(job, types.MergePatchType, string(patch))
	if err != nil {
		t.Fatalf("patch the Job %q with %s: %v", job.Name, patch, err)
	}
	return patched
}

// Suspend sets spec.suspend of a Job.
func (t *T) Suspend(job *batchv1.Job, suspend bool) *batchv1.Job {
	return t.PatchSpec(job, Fields{"suspend": suspend})
}

// Apply applies fields of a Job server-side, as a manager.
func (t *T) Apply(name, manager string, force bool, fields Fields, subresources ...string) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{Object: Fields{}}
	maps.Copy(object.Object, fields)
	object.SetAPIVersion(t.Target().Jobs.GroupVersion().String())
	object.SetKind("Job")
	object.SetName(name)
	return t.API().Apply(t.ctx, name, object, metav1.ApplyOptions{FieldManager: manager, Force: force}, subresources...)
}

// TryDelete deletes a Job with a propagation policy, "" for the group's default.
func (t *T) TryDelete(job *batchv1.Job, policy metav1.DeletionPropagation) error {
	options := metav1.DeleteOptions{}
	if policy != "" {
		options.PropagationPolicy = &policy
	}
	return t.API().Delete(t.ctx, job.Name, options)
}

// Delete deletes a Job with a propagation policy, which must be possible.
func (t *T) Delete(job *batchv1.Job, policy metav1.DeletionPropagation) {
	if err := t.TryDelete(job, policy); err != nil {
		t.Fatalf("delete the Job %q: %v", job.Name, err)
	}
}

// WaitGone waits until a Job is no more.
func (t *T) WaitGone(job *batchv1.Job) {
	t.Eventually("the Job is gone", func() error {
		found, err := t.TryGet(job.Name)
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		case found.UID != job.UID:
			return nil
		}
		return fmt.Errorf("it is there: deletionTimestamp %v, finalizers %v, status %s", found.DeletionTimestamp, found.Finalizers, show(found.Status))
	})
}

// show returns a value in one line of JSON.
func show(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
