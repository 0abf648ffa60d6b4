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

// Package pod serves Pods and what hangs below a Pod: status, log, eviction and binding.
package pod

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/kubernetes/pkg/apis/core"
	upstream "k8s.io/kubernetes/pkg/registry/core/pod"

	"github.com/jobserver-dev/jobserver/pkg/registry/core/corestore"
)

// Storage is what is served of Pods.
type Storage struct {
	// Pod serves the kind, at /pods.
	Pod *corestore.REST
	// Status serves /pods/NAME/status.
	Status *corestore.StatusREST
	// EphemeralContainers serves /pods/NAME/ephemeralcontainers, the one way to add such containers.
	EphemeralContainers *corestore.StatusREST
	// Log serves /pods/NAME/log.
	Log *LogREST
	// Eviction serves /pods/NAME/eviction.
	Eviction *EvictionREST
	// Binding serves /pods/NAME/binding.
	Binding *BindingREST
	// Exec, Attach and PortForward serve /pods/NAME/exec, attach and portforward.
	Exec, Attach, PortForward *ConnectREST
}

// NewStorage returns the storage of Pods, all kept in one store, indexed by the node that a Pod is bound to.
// Logs come from where logs says, whose kubelets are connected to for all else.
//
// Deletes are graceful by upstream's strategy: a Pod that is bound and not terminal stays, with a deletionTimestamp,
// until its node deletes it with a grace period of 0; any other goes at once.
func NewStorage(getter generic.RESTOptionsGetter, logs Logs) (Storage, error) {
	store, err := corestore.New(getter, corestore.Kind{
		Resource:            "pods",
		Singular:            "pod",
		New:                 func() runtime.Object { return &core.Pod{} },
		NewList:             func() runtime.Object { return &core.PodList{} },
		Strategy:            upstream.Strategy,
		Attrs:               upstream.GetAttrs,
		Predicate:           upstream.MatchPod,
		Table:               newTable(),
		ReturnDeletedObject: true,
		Trigger:             storage.IndexerFuncs{"spec.nodeName": upstream.NodeNameTriggerFunc},
		Indexers:            upstream.Indexers(),
	})
	if err != nil {
		return Storage{}, err
	}
	statusStore := corestore.WithUpdate(store, upstream.StatusStrategy)
	return Storage{
		Pod:                 corestore.NewREST(store, []string{"po"}, []string{"all"}),
		Status:              corestore.NewStatusREST(statusStore),
		EphemeralContainers: corestore.NewStatusREST(corestore.WithUpdate(store, upstream.EphemeralContainersStrategy)),
		Log:                 &LogREST{pods: store, logs: logs},
		Eviction:            &EvictionREST{pods: statusStore},
		Binding:             &BindingREST{store: store},

		Exec:        newExecREST(store, logs.Kubelets),
		Attach:      newAttachREST(store, logs.Kubelets),
		PortForward: newPortForwardREST(store, logs.Kubelets),
	}, nil
}
