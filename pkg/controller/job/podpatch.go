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

package job

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// The patches are strategic merge patches. Each repeats the UID of the Pod, so that one meant for a Pod that is gone can
// never change another of the same name: the server answers that the UID is immutable.

type podPatch struct {
	Metadata podPatchMeta `json:"metadata"`
}

type podPatchMeta struct {
	UID              types.UID         `json:"uid"`
	ResourceVersion  string            `json:"resourceVersion,omitempty"`
	Labels           map[string]string `json:"labels,omitempty"`
	OwnerReferences  []any             `json:"ownerReferences,omitempty"`
	Finalizers       []string          `json:"finalizers,omitempty"`
	DeleteFinalizers []string          `json:"$deleteFromPrimitiveList/finalizers,omitempty"`
}

// ownerRemoval is the element of a strategic merge patch that takes one owner reference away.
type ownerRemoval struct {
	Directive string    `json:"$patch"`
	UID       types.UID `json:"uid"`
}

// removeFinalizersPatch takes the tracking finalizers off the Pod. It is nil where there are none.
func (id Identity) removeFinalizersPatch(pod *corev1.Pod) ([]byte, error) {
	ours := id.OwnFinalizers(pod.Finalizers)
	if len(ours) == 0 {
		return nil, nil
	}
	return encodePatch(podPatchMeta{UID: pod.UID, DeleteFinalizers: ours})
}

// giveUpPatch is removeFinalizersPatch for the Pod as it is known: the API refuses it for one that has changed since.
func (id Identity) giveUpPatch(pod *corev1.Pod) ([]byte, error) {
	ours := id.OwnFinalizers(pod.Finalizers)
	if len(ours) == 0 {
		return nil, nil
	}
	return encodePatch(podPatchMeta{UID: pod.UID, ResourceVersion: pod.ResourceVersion, DeleteFinalizers: ours})
}

// adoptPatch makes the Job the controller of the Pod, gives it our label and has it tracked.
func (id Identity) adoptPatch(job *batchv1.Job, pod *corev1.Pod) ([]byte, error) {
	meta := podPatchMeta{
		UID:             pod.UID,
		OwnerReferences: []any{id.ownerReference(job)},
		Finalizers:      []string{id.Finalizer},
	}
	if id.Label != "" {
		meta.Labels = map[string]string{id.Label: string(job.UID)}
	}
	return encodePatch(meta)
}

// releasePatch takes the Job's owner reference and the tracking finalizers off the Pod.
func (id Identity) releasePatch(job *batchv1.Job, pod *corev1.Pod) ([]byte, error) {
	return encodePatch(podPatchMeta{
		UID:              pod.UID,
		OwnerReferences:  []any{ownerRemoval{Directive: "delete", UID: job.UID}},
		DeleteFinalizers: id.OwnFinalizers(pod.Finalizers),
	})
}

// ownerReference is the controller owner reference to the Job. It blocks a foreground deletion of the Job until the Pod is
// gone, as upstream's does.
func (id Identity) ownerReference(job *batchv1.Job) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion:         id.Owner.GroupVersion().String(),
		Kind:               id.Owner.Kind,
		Name:               job.Name,
		UID:                job.UID,
		Controller:         new(true),
		BlockOwnerDeletion: new(true),
	}
}

func encodePatch(meta podPatchMeta) ([]byte, error) {
	patch, err := json.Marshal(podPatch{Metadata: meta})
	if err != nil {
		return nil, fmt.Errorf("encoding Pod patch: %w", err)
	}
	return patch, nil
}
