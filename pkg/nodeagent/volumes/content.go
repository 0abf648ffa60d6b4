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
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
)

// file is one file of a volume.
type file struct {
	data []byte
	mode os.FileMode
	// owner is the user that it belongs to; nil: the server's.
	owner *int64
}

// files holds the files of a volume by their paths in it.
type files map[string]file

// defaultFileMode is the mode of files of volumes that don't say; API servers fill it in.
const defaultFileMode = 0o644

func modeOf(own, byDefault *int32) os.FileMode {
	switch {
	case own != nil:
		return os.FileMode(*own) & os.ModePerm
	case byDefault != nil:
		return os.FileMode(*byDefault) & os.ModePerm
	}
	return defaultFileMode
}

// content computes the files that a volume shows.
func (s *Set) content(ctx context.Context, volume *corev1.Volume) (files, error) {
	shown := files{}
	var err error
	switch {
	case volume.ConfigMap != nil:
		source := volume.ConfigMap
		err = s.addConfigMap(ctx, shown, source.Name, source.Items, source.DefaultMode, isTrue(source.Optional))
	case volume.Secret != nil:
		source := volume.Secret
		err = s.addSecret(ctx, shown, source.SecretName, source.Items, source.DefaultMode, isTrue(source.Optional))
	case volume.DownwardAPI != nil:
		err = s.addDownwardAPI(shown, volume.DownwardAPI.Items, volume.DownwardAPI.DefaultMode)
	case volume.Projected != nil:
		err = s.addProjected(ctx, shown, volume.Projected)
	default:
		err = errors.New("the volume has no content")
	}
	return shown, err
}

// addProjected adds the sources in their order: of two files at one path the later wins. What is wrong with all of them is one error.
func (s *Set) addProjected(ctx context.Context, shown files, projected *corev1.ProjectedVolumeSource) error {
	var failed []error
	for i := range projected.Sources {
		var err error
		switch source := &projected.Sources[i]; {
		case source.ConfigMap != nil:
			err = s.addConfigMap(ctx, shown, source.ConfigMap.Name, source.ConfigMap.Items, projected.DefaultMode, isTrue(source.ConfigMap.Optional))
		case source.Secret != nil:
			err = s.addSecret(ctx, shown, source.Secret.Name, source.Secret.Items, projected.DefaultMode, isTrue(source.Secret.Optional))
		case source.DownwardAPI != nil:
			err = s.addDownwardAPI(shown, source.DownwardAPI.Items, projected.DefaultMode)
		case source.ServiceAccountToken != nil:
			err = s.addToken(ctx, shown, source.ServiceAccountToken, projected.DefaultMode)
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	return utilerrors.NewAggregate(failed)
}

func (s *Set) addConfigMap(ctx context.Context, shown files, name string, items []corev1.KeyToPath, mode *int32, optional bool) error {
	configMap, err := s.Source.ConfigMap(ctx, s.Pod.Namespace, name)
	if apierrors.IsNotFound(err) && optional {
		configMap, err = &corev1.ConfigMap{}, nil
	}
	if err != nil {
		return err
	}
	data := maps.Clone(configMap.BinaryData)
	if data == nil {
		data = map[string][]byte{}
	}
	for key, value := range configMap.Data {
		data[key] = []byte(value)
	}
	return addItems(shown, data, items, mode, optional, "configmap references non-existent config key: ")
}

func (s *Set) addSecret(ctx context.Context, shown files, name string, items []corev1.KeyToPath, mode *int32, optional bool) error {
	secret, err := s.Source.Secret(ctx, s.Pod.Namespace, name)
	if apierrors.IsNotFound(err) && optional {
		secret, err = &corev1.Secret{}, nil
	}
	if err != nil {
		return err
	}
	return addItems(shown, secret.Data, items, mode, optional, "references non-existent secret key: ")
}

// addItems adds the keys that items name, or all where there are none.
func addItems(shown files, data map[string][]byte, items []corev1.KeyToPath, mode *int32, optional bool, missing string) error {
	if len(items) == 0 {
		for key, value := range data {
			shown[key] = file{data: value, mode: modeOf(nil, mode)}
		}
		return nil
	}
	for _, item := range items {
		value, found := data[item.Key]
		switch {
		case found:
			shown[item.Path] = file{data: value, mode: modeOf(item.Mode, mode)}
		case !optional:
			return errors.New(missing + item.Key)
		}
	}
	return nil
}

func (s *Set) addDownwardAPI(shown files, items []corev1.DownwardAPIVolumeFile, mode *int32) error {
	var failed []error
	for i := range items {
		var value string
		var err error
		switch item := &items[i]; {
		case item.FieldRef != nil:
			value, err = s.field(item.FieldRef.FieldPath)
		case item.ResourceFieldRef != nil:
			value, err = s.Source.Resource(s.Pod, item.ResourceFieldRef)
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		shown[items[i].Path] = file{data: []byte(value), mode: modeOf(items[i].Mode, mode)}
	}
	return utilerrors.NewAggregate(failed)
}

// field is the value of a field; labels and annotations may be asked for as a whole here.
func (s *Set) field(path string) (string, error) {
	switch path {
	case "metadata.labels":
		return formatMap(s.Pod.Labels), nil
	case "metadata.annotations":
		return formatMap(s.Pod.Annotations), nil
	}
	return s.Source.Field(s.Pod, path)
}

// formatMap writes key="value" lines, sorted, the values quoted as in Go.
func formatMap(values map[string]string) string {
	lines := make([]string, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		lines = append(lines, fmt.Sprintf("%s=%q", key, values[key]))
	}
	return strings.Join(lines, "\n")
}

// addToken adds a token, which only the user of the containers may read, or else the fsGroup.
func (s *Set) addToken(ctx context.Context, shown files, projection *corev1.ServiceAccountTokenProjection, mode *int32) error {
	token, err := s.Source.Token(ctx, s.Pod, projection)
	if err != nil {
		return err
	}
	made := file{data: []byte(token), mode: modeOf(nil, mode), owner: fsUser(s.Pod)}
	if made.owner != nil || fsGroup(s.Pod) != nil {
		made.mode = 0o600
	}
	shown[projection.Path] = made
	return nil
}

func isTrue(flag *bool) bool { return flag != nil && *flag }
