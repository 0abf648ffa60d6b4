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
	"fmt"
	"maps"
	"os/user"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"
)

// defaultPath is the PATH of a container whose env sets none: the one that container runtimes use.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// terminalType is the TERM of what has a terminal, unless its env sets another: the one that container runtimes use.
const terminalType = "xterm"

// configSource reads what environments refer to. Errors are those of the API.
type configSource interface {
	ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// environment computes the environment of one container. The rules, and their order, are a kubelet's: envFrom in order, then
// env in order, each value able to refer to what comes before it.
type environment struct {
	pod       *corev1.Pod
	container *corev1.Container
	// allocatable is what the node has to give: the value of limits that the container doesn't set.
	allocatable corev1.ResourceList
	source      configSource
	// files reads a variable from a file in a volume of the Pod; empty: the file doesn't set it.
	files func(*corev1.FileKeySelector) (string, error)

	values     map[string]string
	configMaps map[string]*corev1.ConfigMap
	secrets    map[string]*corev1.Secret
	// invalid lists keys of envFrom sources that can't be the name of a variable; they are left out.
	invalid []string
}

// compute fills in values. The error says what is missing, in a kubelet's words; the container can't be started until then.
func (e *environment) compute(ctx context.Context) error {
	e.values = map[string]string{}
	e.configMaps, e.secrets = map[string]*corev1.ConfigMap{}, map[string]*corev1.Secret{}
	for i := range e.container.EnvFrom {
		if err := e.addAll(ctx, &e.container.EnvFrom[i]); err != nil {
			return err
		}
	}
	for i := range e.container.Env {
		variable := &e.container.Env[i]
		if variable.ValueFrom == nil {
			e.values[variable.Name] = expand(variable.Value, e.lookUp)
			continue
		}
		value, found, err := e.valueFrom(ctx, variable.ValueFrom)
		if err != nil {
			return err
		}
		if found {
			e.values[variable.Name] = value
		}
	}
	return nil
}

func (e *environment) lookUp(name string) (string, bool) {
	value, ok := e.values[name]
	return value, ok
}

// list returns the environment of the process: the container's variables, and what a container runtime adds to them.
func (e *environment) list() []string {
	all := map[string]string{"PATH": defaultPath, "HOME": homeDirectory(e.pod, e.container), "HOSTNAME": hostname(e.pod)}
	if e.container.TTY {
		all["TERM"] = terminalType
	}
	maps.Copy(all, e.values)
	list := make([]string, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, name+"="+all[name])
	}
	return list
}

// expandAll expands references to the container's own variables, in its command or its args.
func (e *environment) expandAll(words []string) []string {
	expanded := make([]string, len(words))
	for i, word := range words {
		expanded[i] = expand(word, e.lookUp)
	}
	return expanded
}

// hostname is the host name that the Pod would have with a network of its own.
func hostname(pod *corev1.Pod) string {
	name := pod.Name
	switch {
	case pod.Spec.HostnameOverride != nil:
		name = *pod.Spec.HostnameOverride
	case pod.Spec.Hostname != "":
		name = pod.Spec.Hostname
	}
	if len(name) > 63 {
		name = strings.TrimRight(name[:63], "-.")
	}
	return name
}

// homeDirectory is the home of the user that containers run as, as container runtimes find it: in the user database, not in
// the server's environment.
func homeDirectory(pod *corev1.Pod, container *corev1.Container) string {
	if who := identityOf(pod, container); who.user != nil {
		return databaseUser(*who.user).home
	}
	if current, err := user.Current(); err == nil && current.HomeDir != "" {
		return current.HomeDir
	}
	return "/"
}

// addAll adds every key of a configMap or secret.
func (e *environment) addAll(ctx context.Context, from *corev1.EnvFromSource) error {
	data := map[string]string{}
	switch {
	case from.ConfigMapRef != nil:
		configMap, err := e.configMap(ctx, from.ConfigMapRef.Name, isTrue(from.ConfigMapRef.Optional))
		if err != nil {
			return err
		}
		maps.Copy(data, configMap.Data)
	case from.SecretRef != nil:
		secret, err := e.secret(ctx, from.SecretRef.Name, isTrue(from.SecretRef.Optional))
		if err != nil {
			return err
		}
		for key, value := range secret.Data {
			data[key] = string(value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		name := from.Prefix + key
		if len(validation.IsRelaxedEnvVarName(name)) > 0 {
			e.invalid = append(e.invalid, key)
			continue
		}
		e.values[name] = data[key]
	}
	return nil
}

// valueFrom returns the value of a reference; false where it is optional and there is none.
func (e *environment) valueFrom(ctx context.Context, from *corev1.EnvVarSource) (string, bool, error) {
	switch {
	case from.FieldRef != nil:
		value, err := fieldValue(e.pod, from.FieldRef.FieldPath)
		return value, true, err
	case from.ResourceFieldRef != nil:
		value, err := resourceValue(e.pod, e.container, from.ResourceFieldRef, e.allocatable)
		return value, true, err
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		optional := isTrue(ref.Optional)
		configMap, err := e.configMap(ctx, ref.Name, optional)
		if err != nil {
			return "", false, err
		}
		value, found := configMap.Data[ref.Key]
		if !found && !optional {
			return "", false, fmt.Errorf("couldn't find key %v in ConfigMap %v/%v", ref.Key, e.pod.Namespace, ref.Name)
		}
		return value, found, nil
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		optional := isTrue(ref.Optional)
		secret, err := e.secret(ctx, ref.Name, optional)
		if err != nil {
			return "", false, err
		}
		value, found := secret.Data[ref.Key]
		if !found && !optional {
			return "", false, fmt.Errorf("couldn't find key %v in Secret %v/%v", ref.Key, e.pod.Namespace, ref.Name)
		}
		return string(value), found, nil
	case from.FileKeyRef != nil:
		ref := from.FileKeyRef
		value, err := e.files(ref)
		if err == nil && value == "" && !isTrue(ref.Optional) {
			err = fmt.Errorf("environment variable key %q not found in file %q of volume %q", ref.Key, ref.Path, ref.VolumeName)
		}
		return value, value != "", err
	}
	return "", false, nil
}

// configMap reads a configMap once; an optional one that doesn't exist is empty.
func (e *environment) configMap(ctx context.Context, name string, optional bool) (*corev1.ConfigMap, error) {
	if known, ok := e.configMaps[name]; ok {
		return known, nil
	}
	configMap, err := e.source.ConfigMap(ctx, e.pod.Namespace, name)
	if apierrors.IsNotFound(err) && optional {
		return &corev1.ConfigMap{}, nil
	}
	if err != nil {
		return nil, err
	}
	e.configMaps[name] = configMap
	return configMap, nil
}

// secret reads a secret once; an optional one that doesn't exist is empty.
func (e *environment) secret(ctx context.Context, name string, optional bool) (*corev1.Secret, error) {
	if known, ok := e.secrets[name]; ok {
		return known, nil
	}
	secret, err := e.source.Secret(ctx, e.pod.Namespace, name)
	if apierrors.IsNotFound(err) && optional {
		return &corev1.Secret{}, nil
	}
	if err != nil {
		return nil, err
	}
	e.secrets[name] = secret
	return secret, nil
}

func isTrue(flag *bool) bool { return flag != nil && *flag }
