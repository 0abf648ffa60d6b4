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

package namespace

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/metadata"
	clienttesting "k8s.io/client-go/testing"
)

// item is an object of the content.
type item struct {
	namespace, name string
	finalizers      []string
	// graceful is true for an object that stays after its deletion, until the test removes it.
	graceful bool
	deleted  bool
}

// content is a metadata client for objects in namespaces. Only list and deletecollection work.
type content struct {
	mu    sync.Mutex
	items map[schema.GroupVersionResource][]item
	// calls are "verb resource namespace", in order.
	calls []string
	// fail, if set, may answer a call with an error.
	fail func(call string) error
}

var _ metadata.Interface = (*content)(nil)

func (c *content) Resource(resource schema.GroupVersionResource) metadata.Getter {
	return &contentClient{content: c, resource: resource}
}

// change lets f change the items of a resource, as if by another client.
func (c *content) change(resource schema.GroupVersionResource, f func([]item) []item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items[resource] = f(c.items[resource])
}

// deleted returns, in order, the resources that were asked to be deleted.
func (c *content) deleted() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var resources []string
	for _, call := range c.calls {
		var resource string
		if n, _ := fmt.Sscanf(call, "deletecollection %s", &resource); n == 1 {
			resources = append(resources, resource)
		}
	}
	return resources
}

func (c *content) call(verb string, resource schema.GroupVersionResource, namespace string) error {
	call := fmt.Sprintf("%s %s %s", verb, resource.Resource, namespace)
	c.calls = append(c.calls, call)
	if c.fail != nil {
		return c.fail(call)
	}
	return nil
}

type contentClient struct {
	metadata.ResourceInterface // what is not implemented panics

	content   *content
	resource  schema.GroupVersionResource
	namespace string
}

func (c *contentClient) Namespace(namespace string) metadata.ResourceInterface {
	return &contentClient{content: c.content, resource: c.resource, namespace: namespace}
}

func (c *contentClient) DeleteCollection(_ context.Context, options metav1.DeleteOptions, list metav1.ListOptions) error {
	c.content.mu.Lock()
	defer c.content.mu.Unlock()
	if err := c.content.call("deletecollection", c.resource, c.namespace); err != nil {
		return err
	}
	if options.PropagationPolicy == nil || *options.PropagationPolicy != metav1.DeletePropagationBackground || options.GracePeriodSeconds != nil {
		return apierrors.NewBadRequest(fmt.Sprintf("unexpected options %v", options))
	}
	if list != (metav1.ListOptions{}) {
		return apierrors.NewBadRequest(fmt.Sprintf("unexpected list options %v", list))
	}
	var left []item
	for _, i := range c.content.items[c.resource] {
		if i.namespace == c.namespace {
			if len(i.finalizers) == 0 && !i.graceful {
				continue
			}
			i.deleted = true
		}
		left = append(left, i)
	}
	c.content.items[c.resource] = left
	return nil
}

func (c *contentClient) List(context.Context, metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	c.content.mu.Lock()
	defer c.content.mu.Unlock()
	if err := c.content.call("list", c.resource, c.namespace); err != nil {
		return nil, err
	}
	list := &metav1.PartialObjectMetadataList{}
	for _, i := range c.content.items[c.resource] {
		if i.namespace == c.namespace {
			list.Items = append(list.Items, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: i.name, Finalizers: i.finalizers}})
		}
	}
	return list, nil
}

// newCore makes a core/v1 client that removes a namespace when its last finalizer is taken off through /finalize.
func newCore(objects ...runtime.Object) *fake.Clientset {
	client := fake.NewClientset(objects...)
	client.PrependReactor("create", "namespaces", func(action clienttesting.Action) (bool, runtime.Object, error) {
		create := action.(clienttesting.CreateActionImpl)
		if create.Subresource != "finalize" {
			return false, nil, nil
		}
		ns := create.Object.(*corev1.Namespace)
		if len(ns.Spec.Finalizers) == 0 {
			return true, ns, client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("namespaces"), "", ns.Name)
		}
		return true, ns, client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("namespaces"), ns, "")
	})
	return client
}

// refuse answers the first n matching calls with err.
func refuse(client *fake.Clientset, verb, subresource string, n int, err error) {
	client.PrependReactor(verb, "namespaces", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() != subresource || n == 0 {
			return false, nil, nil
		}
		n--
		return true, nil, err
	})
}

func without(name string) func([]item) []item {
	return func(items []item) []item {
		return slices.DeleteFunc(items, func(i item) bool { return i.name == name })
	}
}

func add(t *testing.T, client *fake.Clientset, obj runtime.Object) {
	t.Helper()
	if err := client.Tracker().Add(obj); err != nil {
		t.Fatal(err)
	}
}

// find returns the namespace as it is now, or nil.
func find(client *fake.Clientset, name string) *corev1.Namespace {
	obj, err := client.Tracker().Get(corev1.SchemeGroupVersion.WithResource("namespaces"), "", name)
	if err != nil {
		return nil
	}
	return obj.(*corev1.Namespace)
}
