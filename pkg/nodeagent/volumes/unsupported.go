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

package volumes

import (
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const whyMissing = "is not supported by this node"

// Unsupported calls refuse for each volume of the Pod that this node can't provide, with the field that says so.
func Unsupported(spec *corev1.PodSpec, refuse func(path *field.Path, why string)) {
	for i := range spec.Volumes {
		volume, path := &spec.Volumes[i], field.NewPath("spec", "volumes").Index(i)
		switch {
		case volume.EmptyDir != nil:
			if medium := volume.EmptyDir.Medium; medium != corev1.StorageMediumDefault && medium != corev1.StorageMediumMemory {
				refuse(path.Child("emptyDir", "medium"), string(medium)+" "+whyMissing+"; use Memory, or leave it out")
			}
		case volume.Projected != nil:
			for j := range volume.Projected.Sources {
				source, path := &volume.Projected.Sources[j], path.Child("projected", "sources").Index(j)
				if source.ClusterTrustBundle != nil {
					refuse(path.Child("clusterTrustBundle"), whyMissing)
				}
				if source.PodCertificate != nil {
					refuse(path.Child("podCertificate"), whyMissing)
				}
			}
		case volume.HostPath != nil, isContent(volume):
		default:
			if kind := sourceKind(&volume.VolumeSource); kind != "" {
				refuse(path.Child(kind), whyMissing)
			}
		}
	}
}

// UnsupportedMounts calls refuse for each mount of the container, which is at path, that this node can't provide.
func UnsupportedMounts(container *corev1.Container, path *field.Path, refuse func(path *field.Path, why string)) {
	for i := range container.VolumeMounts {
		mount := &container.VolumeMounts[i]
		if mount.MountPropagation != nil && *mount.MountPropagation == corev1.MountPropagationBidirectional {
			refuse(path.Child("volumeMounts").Index(i).Child("mountPropagation"), "Bidirectional "+whyMissing+": what a container mounts never shows on the machine")
		}
	}
}

// hasSource tells whether a volume says what it is; one that doesn't is an emptyDir.
func hasSource(source *corev1.VolumeSource) bool { return sourceKind(source) != "" }

// sourceKind is the name of the field that says what a volume is: its kinds are the fields of one struct, and new ones come with each release.
func sourceKind(source *corev1.VolumeSource) string {
	value := reflect.ValueOf(*source)
	for i := range value.NumField() {
		if !value.Field(i).IsZero() {
			name, _, _ := strings.Cut(value.Type().Field(i).Tag.Get("json"), ",")
			return name
		}
	}
	return ""
}
