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

package garbagecollector

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// monitor feeds the objects of one resource into the graph.
type monitor struct {
	resource *Resource
	informer cache.SharedIndexInformer
	// synced is true once the graph has every object of the first list.
	synced cache.InformerSynced
}

func (c *Controller) newMonitor(ctx context.Context, resource *Resource) (*monitor, error) {
	informer := metadatainformer.NewFilteredMetadataInformer(c.metadata, resource.GroupVersionResource, metav1.NamespaceAll, 0, cache.Indexers{}, nil).Informer()
	if err := informer.SetTransform(strip); err != nil {
		return nil, err
	}
	err := informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		if !informer.HasSynced() {
			syncErrors.Inc()
		}
		cache.DefaultWatchErrorHandler(ctx, r, err)
	})
	if err != nil {
		return nil, err
	}
	registration, err := informer.AddEventHandlerWithOptions(c.handlers(resource), cache.HandlerOptions{Logger: new(klog.FromContext(ctx))})
	if err != nil {
		return nil, err
	}
	return &monitor{resource: resource, informer: informer, synced: registration.HasSynced}, nil
}

// handlers take the events of the resource's informer into the graph.
func (c *Controller) handlers(resource *Resource) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { c.apply(c.graph.observe(newNode(resource, obj.(*metav1.PartialObjectMetadata)))) },
		UpdateFunc: func(oldObj, newObj any) {
			previous, current := oldObj.(*metav1.PartialObjectMetadata), newObj.(*metav1.PartialObjectMetadata)
			// The watch missed that one object went and another took its name.
			if previous.UID != current.UID {
				c.apply(c.graph.remove(newNode(resource, previous)))
			}
			c.apply(c.graph.observe(newNode(resource, current)))
		},
		DeleteFunc: func(obj any) {
			if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = unknown.Obj
			}
			if gone, ok := obj.(*metav1.PartialObjectMetadata); ok {
				c.apply(c.graph.remove(newNode(resource, gone)))
			}
		},
	}
}

// strip keeps of an object only what the graph is made from, and what the informer needs.
func strip(obj any) (any, error) {
	full, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok {
		return obj, nil
	}
	return &metav1.PartialObjectMetadata{TypeMeta: full.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Namespace:         full.Namespace,
		Name:              full.Name,
		UID:               full.UID,
		ResourceVersion:   full.ResourceVersion,
		DeletionTimestamp: full.DeletionTimestamp,
		OwnerReferences:   full.OwnerReferences,
		Finalizers:        full.Finalizers,
	}}, nil
}
