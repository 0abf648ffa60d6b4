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

package core

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/jobserver-dev/jobserver/pkg/registry/core/configmap"
	"github.com/jobserver-dev/jobserver/pkg/registry/core/event"
	"github.com/jobserver-dev/jobserver/pkg/registry/core/namespace"
	"github.com/jobserver-dev/jobserver/pkg/registry/core/node"
	"github.com/jobserver-dev/jobserver/pkg/registry/core/pod"
	"github.com/jobserver-dev/jobserver/pkg/registry/core/secret"
)

// DefaultEventTTL is how long an event is kept where Config.EventTTL is zero; kube-apiserver's --event-ttl has the same
// default.
const DefaultEventTTL = time.Hour

// LogSource opens a container's log. The node agent implements it.
type LogSource = pod.LogSource

// LongRunningSubresources names the subresources whose requests may last: a followed log, streams. The server's LongRunningFunc
// must know them, or its time limit for ordinary requests, a minute by default, cuts them off.
func LongRunningSubresources() []string { return []string{"log", "exec", "attach", "portforward"} }

// Config is what the API group needs. Fields without the word optional must be set.
type Config struct {
	// Scheme is the server's scheme; Install must have run on it.
	Scheme *runtime.Scheme
	// ParameterCodec decodes query parameters of Scheme's types, such as those of pods/log.
	ParameterCodec runtime.ParameterCodec
	// Codecs are the serializers of Scheme.
	Codecs serializer.CodecFactory
	// RESTOptionsGetter says where and how each resource is stored: version v1, as protobuf.
	RESTOptionsGetter generic.RESTOptionsGetter
	// PodLogs answers pods/log. Optional: without it pods/log answers 503 Service Unavailable.
	PodLogs LogSource
	// Kubelets answer pods/exec, pods/attach and pods/portforward, and pods/log of Pods that PodLogs has nothing of. Optional: without
	// them those answer 503 Service Unavailable.
	Kubelets *Kubelets
	// EventTTL is how long an event lives after its last write, in whole seconds. Optional: zero means DefaultEventTTL.
	EventTTL time.Duration
}

// validate names every field that NewAPIGroupInfo can't do without or can't honour.
func (c Config) validate() error {
	var errs []error
	if c.Scheme == nil {
		errs = append(errs, errors.New("the config has no Scheme"))
	}
	if c.ParameterCodec == nil {
		errs = append(errs, errors.New("the config has no ParameterCodec"))
	}
	if c.RESTOptionsGetter == nil {
		errs = append(errs, errors.New("the config has no RESTOptionsGetter"))
	}
	if c.EventTTL < 0 || c.EventTTL%time.Second != 0 {
		errs = append(errs, fmt.Errorf("the config's EventTTL is %s: it must be whole seconds and not negative", c.EventTTL))
	}
	return errors.Join(errs...)
}

// NewAPIGroupInfo makes the stores of core/v1 and returns them as a group for InstallLegacyAPIGroup, which serves it
// below /api. The group's storages own their watch caches; they end with the server that installs them.
func NewAPIGroupInfo(c Config) (genericapiserver.APIGroupInfo, error) {
	if err := c.validate(); err != nil {
		return genericapiserver.APIGroupInfo{}, fmt.Errorf("core/v1: %w", err)
	}
	storage, err := newStorage(c)
	if err != nil {
		return genericapiserver.APIGroupInfo{}, fmt.Errorf("core/v1: %w", err)
	}
	info := genericapiserver.NewDefaultAPIGroupInfo(corev1.GroupName, c.Scheme, c.ParameterCodec, c.Codecs)
	info.VersionedResourcesStorageMap[corev1.SchemeGroupVersion.Version] = storage
	return info, nil
}

// newStorage returns what is served at each path of core/v1. On an error it destroys what it had made.
func newStorage(c Config) (_ map[string]rest.Storage, err error) {
	storage := map[string]rest.Storage{}
	defer func() {
		if err != nil {
			for _, s := range storage {
				s.Destroy()
			}
		}
	}()

	if err := addNodesAndPods(storage, c); err != nil {
		return nil, err
	}

	namespaces, err := namespace.NewStorage(c.RESTOptionsGetter)
	if err != nil {
		return nil, err
	}
	storage["namespaces"] = namespaces.Namespace
	storage["namespaces/status"] = namespaces.Status
	storage["namespaces/finalize"] = namespaces.Finalize

	ttl := c.EventTTL
	if ttl == 0 {
		ttl = DefaultEventTTL
	}
	events, err := event.NewREST(c.RESTOptionsGetter, ttl)
	if err != nil {
		return nil, err
	}
	storage["events"] = events

	configMaps, err := configmap.NewREST(c.RESTOptionsGetter)
	if err != nil {
		return nil, err
	}
	storage["configmaps"] = configMaps

	secrets, err := secret.NewREST(c.RESTOptionsGetter)
	if err != nil {
		return nil, err
	}
	storage["secrets"] = secrets
	return storage, nil
}

// addNodesAndPods adds what is served of nodes, and of the Pods whose containers are reached through them.
func addNodesAndPods(storage map[string]rest.Storage, c Config) error {
	nodes, err := node.NewStorage(c.RESTOptionsGetter)
	if err != nil {
		return err
	}
	storage["nodes"] = nodes.Node
	storage["nodes/status"] = nodes.Status

	kubelets, err := newConnectionInfo(c.Kubelets, nodes.Node)
	if err != nil {
		return err
	}
	logs := pod.Logs{Source: c.PodLogs, Kubelets: kubelets}
	if c.Kubelets != nil {
		logs.LocalNode = c.Kubelets.LocalNode
	}
	pods, err := pod.NewStorage(c.RESTOptionsGetter, logs)
	if err != nil {
		return err
	}
	storage["pods"] = pods.Pod
	storage["pods/status"] = pods.Status
	storage["pods/ephemeralcontainers"] = pods.EphemeralContainers
	storage["pods/log"] = pods.Log
	storage["pods/eviction"] = pods.Eviction
	storage["pods/binding"] = pods.Binding
	storage["pods/exec"] = pods.Exec
	storage["pods/attach"] = pods.Attach
	storage["pods/portforward"] = pods.PortForward
	return nil
}
