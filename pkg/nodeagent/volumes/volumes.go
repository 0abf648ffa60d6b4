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

// Package volumes makes the volumes of a Pod as folders of the machine, and says how a container mounts them.
//
//	unsupported.go  names the volumes and mounts that this node can't provide (pure)
//	content.go      computes the files of configMap, secret, downwardAPI and projected volumes
//	atomic.go       writes such files so that a reader sees the old ones or the new ones, never a mixture
//	emptydir.go     makes emptyDir volumes, in memory where they ask for it
//	hostpath.go     checks paths of the machine
//	ownership.go    gives volumes to the Pod's fsGroup
//	mounts.go       turns a container's volumeMounts into mounts of its view of the machine's files
//
// A volume is the folder of its name in the folder of the Pod's volumes; that of a hostPath volume is the machine's own. Kubernetes' kubelet is the
// reference of every rule.
package volumes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Source reads what volumes show.
type Source interface {
	// ConfigMap and Secret return errors of the API.
	ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	// Token returns a token of the Pod's service account that is still good for a while. The Pod names whom it is bound to.
	Token(ctx context.Context, pod *corev1.Pod, projection *corev1.ServiceAccountTokenProjection) (string, error)
	// Field and Resource are the values of the downward API.
	Field(pod *corev1.Pod, path string) (string, error)
	Resource(pod *corev1.Pod, selector *corev1.ResourceFieldSelector) (string, error)
}

// Set is the volumes of one Pod.
type Set struct {
	Pod *corev1.Pod
	// Dir is the folder of the Pod's volumes, absolute. It need not exist.
	Dir string
	// Source reads what they show.
	Source Source
	// Memory is what a volume in memory may take at most, however much it asks for: the Pod's limit, or what the node has.
	Memory resource.Quantity
}

// Error is a volume that could not be made.
type Error struct {
	// Volume is its name.
	Volume string
	Err    error
}

// Error says it in the words of a kubelet's FailedMount event.
func (e *Error) Error() string {
	return fmt.Sprintf("MountVolume.SetUp failed for volume %q : %v", e.Volume, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// SetUp makes every volume that doesn't exist yet and brings the others up to date. The error is an *Error of the first that failed.
func (s *Set) SetUp(ctx context.Context) error {
	return s.each(func(volume *corev1.Volume) error {
		switch {
		case volume.HostPath != nil:
			return checkHostPath(volume.HostPath)
		case volume.EmptyDir != nil, !hasSource(&volume.VolumeSource):
			return s.makeEmptyDir(volume)
		default:
			return s.refresh(ctx, volume)
		}
	})
}

// Refresh brings the volumes up to date whose content comes from the API. The error is an *Error of the first that failed; what it shows stays.
func (s *Set) Refresh(ctx context.Context) error {
	return s.each(func(volume *corev1.Volume) error {
		if !isContent(volume) {
			return nil
		}
		return s.refresh(ctx, volume)
	})
}

// HasContent tells whether a volume of the Pod shows what is in the API, which changes.
func HasContent(pod *corev1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if isContent(&pod.Spec.Volumes[i]) {
			return true
		}
	}
	return false
}

func isContent(volume *corev1.Volume) bool {
	return volume.ConfigMap != nil || volume.Secret != nil || volume.DownwardAPI != nil || volume.Projected != nil
}

func (s *Set) each(work func(*corev1.Volume) error) error {
	for i := range s.Pod.Spec.Volumes {
		volume := &s.Pod.Spec.Volumes[i]
		if err := work(volume); err != nil {
			return &Error{Volume: volume.Name, Err: err}
		}
	}
	return nil
}

// Path is the folder or file of a volume.
func (s *Set) Path(volume *corev1.Volume) string {
	if volume.HostPath != nil {
		return filepath.Clean(volume.HostPath.Path)
	}
	return filepath.Join(s.Dir, volume.Name)
}

// refresh writes the content of a volume where it changed.
func (s *Set) refresh(ctx context.Context, volume *corev1.Volume) error {
	files, err := s.content(ctx, volume)
	if err != nil {
		return err
	}
	path := s.Path(volume)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("make folder of volume: %w", err)
	}
	if err := os.Chmod(path, 0o777); err != nil {
		return fmt.Errorf("make folder of volume: %w", err)
	}
	return writeAtomically(path, files, fsGroup(s.Pod))
}
