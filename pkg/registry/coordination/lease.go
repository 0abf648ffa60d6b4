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

// Package coordination serves the Leases of coordination.k8s.io/v1, by which nodes show that they live and controllers elect one of them.
package coordination

import (
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/kubernetes/pkg/apis/coordination"
	"k8s.io/kubernetes/pkg/apis/coordination/install"
	"k8s.io/kubernetes/pkg/registry/coordination/lease"

	"github.com/jobserver-dev/jobserver/pkg/registry/core/corestore"
	"github.com/jobserver-dev/jobserver/pkg/registry/core/table"
)

// Install teaches scheme the types of coordination.k8s.io. It panics where scheme holds a different type under one of these kinds, which is a mistake of the program.
func Install(scheme *runtime.Scheme) { install.Install(scheme) }

// NewAPIGroupInfo makes the store of leases and returns coordination.k8s.io/v1. The store owns its watch cache, which ends with the server that installs it.
func NewAPIGroupInfo(scheme *runtime.Scheme, parameters runtime.ParameterCodec, codecs serializer.CodecFactory, getter generic.RESTOptionsGetter) (*genericapiserver.APIGroupInfo, error) {
	store, err := corestore.New(getter, corestore.Kind{
		Group:    coordination.GroupName,
		Resource: "leases",
		Singular: "lease",
		New:      func() runtime.Object { return &coordination.Lease{} },
		NewList:  func() runtime.Object { return &coordination.LeaseList{} },
		Strategy: lease.Strategy,
		Table:    newTable(),
	})
	if err != nil {
		return nil, fmt.Errorf("coordination.k8s.io/v1: %w", err)
	}
	info := genericapiserver.NewDefaultAPIGroupInfo(coordination.GroupName, scheme, parameters, codecs)
	info.VersionedResourcesStorageMap[coordinationv1.SchemeGroupVersion.Version] = map[string]rest.Storage{"leases": corestore.NewREST(store, nil, nil)}
	return &info, nil
}

func newTable() rest.TableConvertor {
	return table.New([]metav1.TableColumnDefinition{
		table.NameColumn(),
		table.Column("Holder", coordinationv1.LeaseSpec{}.SwaggerDoc()["holderIdentity"]),
		table.AgeColumn(),
	}, row)
}

func row(lease *coordination.Lease, now time.Time) metav1.TableRow {
	holder := ""
	if lease.Spec.HolderIdentity != nil {
		holder = *lease.Spec.HolderIdentity
	}
	return metav1.TableRow{Cells: []any{lease.Name, holder, table.Age(lease.CreationTimestamp.Time, now)}}
}
