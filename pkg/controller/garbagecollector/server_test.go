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
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
)

// testResources has a kind of each sort: with an alias, plain, cluster-scoped, and one that may only be an owner.
func testResources() []Resource {
	core := func(resource, kind string, namespaced bool) Resource {
		return Resource{GroupVersionResource: schema.GroupVersionResource{Version: "v1", Resource: resource}, Kind: kind, Namespaced: namespaced}
	}
	jobs := Resource{
		GroupVersionResource: schema.GroupVersionResource{Group: "batch.jobserver.dev", Version: "v1", Resource: "jobs"}, Kind: "Job", Namespaced: true,
		Aliases: []schema.GroupVersionKind{{Group: "batch", Version: "v1", Kind: "Job"}},
	}
	events := core("events", "Event", true)
	events.OwnerOnly = true
	return []Resource{jobs, core("pods", "Pod", true), core("configmaps", "ConfigMap", true), core("nodes", "Node", false), events}
}

// object is the metadata of an object; its name is also its UID, if not set otherwise.
type object = metav1.PartialObjectMetadata

type objectOption func(*object)

func in(namespace string) objectOption { return func(o *object) { o.Namespace = namespace } }

func withUID(uid types.UID) objectOption { return func(o *object) { o.UID = uid } }

func withFinalizer(name string) objectOption {
	return func(o *object) { o.Finalizers = append(o.Finalizers, name) }
}

// ownedBy adds an owner reference. The owner is written "apiVersion Kind name" and has the name as its UID.
func ownedBy(owner string, options ...func(*metav1.OwnerReference)) objectOption {
	return func(o *object) {
		words := strings.Fields(owner)
		ref := metav1.OwnerReference{APIVersion: words[0], Kind: words[1], Name: words[2], UID: types.UID(words[2])}
		for _, option := range options {
			option(&ref)
		}
		o.OwnerReferences = append(o.OwnerReferences, ref)
	}
}

func blocking(ref *metav1.OwnerReference) { ref.BlockOwnerDeletion = new(true) }

func refUID(uid types.UID) func(*metav1.OwnerReference) {
	return func(ref *metav1.OwnerReference) { ref.UID = uid }
}

func job(name string, options ...objectOption) *object {
	return makeObject("batch.jobserver.dev/v1", "Job", "default", name, options)
}

func pod(name string, options ...objectOption) *object {
	return makeObject("v1", "Pod", "default", name, options)
}

func configMap(name string, options ...objectOption) *object {
	return makeObject("v1", "ConfigMap", "default", name, options)
}

func k8sNode(name string, options ...objectOption) *object {
	return makeObject("v1", "Node", "", name, options)
}

func event(name string) *object { return makeObject("v1", "Event", "default", name, nil) }

func makeObject(apiVersion, kind, namespace, name string, options []objectOption) *object {
	o := &object{
		TypeMeta:   metav1.TypeMeta{APIVersion: apiVersion, Kind: kind},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name)},
	}
	for _, option := range options {
		option(o)
	}
	return o
}

// server behaves as the API does towards metadata clients: UIDs and resource versions as preconditions, finalizers,
// propagation policies, patches. It keeps the objects in the tracker of a fake client, which watches read as well.
type server struct {
	*fake.FakeMetadataClient
	resources []Resource
	version   int
	// notify, if set, hears of every write; gone is true for a removal. It must not call the client.
	notify func(resource *Resource, o *object, gone bool)
	// beforeDelete, if set, is asked before every delete through the client.
	beforeDelete func(o *object, options metav1.DeleteOptions) error
}

func newServer(resources []Resource) *server {
	scheme := fake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		panic(err)
	}
	s := &server{FakeMetadataClient: fake.NewSimpleMetadataClient(scheme), resources: resources}
	s.PrependReactor("delete", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		d := action.(clienttesting.DeleteActionImpl)
		return true, nil, s.handleDelete(d.Resource, d.Namespace, d.Name, d.DeleteOptions)
	})
	s.PrependReactor("patch", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		p := action.(clienttesting.PatchActionImpl)
		o, err := s.handlePatch(p.Resource, p.Namespace, p.Name, p.PatchType, p.Patch)
		return true, o, err
	})
	return s
}

func (s *server) resourceOf(gvr schema.GroupVersionResource) *Resource {
	i := slices.IndexFunc(s.resources, func(r Resource) bool { return r.GroupVersionResource == gvr })
	return &s.resources[i]
}

func (s *server) resourceOfKind(o *object) *Resource {
	i := slices.IndexFunc(s.resources, func(r Resource) bool {
		return r.GroupVersion().String() == o.APIVersion && r.Kind == o.Kind
	})
	return &s.resources[i]
}

// add creates or replaces an object, as if by another client.
func (s *server) add(o *object) {
	r := s.resourceOfKind(o)
	s.version++
	o.ResourceVersion = strconv.Itoa(s.version)
	err := s.Tracker().Create(r.GroupVersionResource, o, o.Namespace)
	if apierrors.IsAlreadyExists(err) {
		err = s.Tracker().Update(r.GroupVersionResource, o, o.Namespace)
	}
	if err != nil {
		panic(err)
	}
	if s.notify != nil {
		s.notify(r, o, false)
	}
}

// update changes an object, as if by another client. Like the API, it removes one that is being deleted and has no finalizers left.
func (s *server) update(o *object, change func(*object)) {
	latest := s.find(o)
	change(latest)
	s.store(s.resourceOfKind(o).GroupVersionResource, latest)
}

// drop removes an object at once, as if it had no finalizers.
func (s *server) drop(o *object) {
	r := s.resourceOfKind(o)
	if err := s.Tracker().Delete(r.GroupVersionResource, o.Namespace, o.Name); err != nil {
		panic(err)
	}
	s.version++
	last := o.DeepCopy()
	last.ResourceVersion = strconv.Itoa(s.version)
	if s.notify != nil {
		s.notify(r, last, true)
	}
}

// find returns the object as it is now, or nil.
func (s *server) find(o *object) *object {
	found, err := s.Tracker().Get(s.resourceOfKind(o).GroupVersionResource, o.Namespace, o.Name)
	if err != nil {
		return nil
	}
	return found.DeepCopyObject().(*object)
}

// all returns the names of all objects that there are, sorted; one that is being deleted is marked with a dagger.
func (s *server) all() []string {
	names := []string{}
	for _, r := range s.resources {
		list, err := s.Tracker().List(r.GroupVersionResource, schema.GroupVersionKind{Group: "fake-metadata-client-group", Version: "v1"}, "")
		if err != nil {
			panic(err)
		}
		for _, item := range list.(*metav1.List).Items {
			o := item.Object.(*object)
			mark := ""
			if o.DeletionTimestamp != nil {
				mark = "†"
			}
			names = append(names, o.Name+mark)
		}
	}
	slices.Sort(names)
	return names
}

func (s *server) store(gvr schema.GroupVersionResource, o *object) {
	if o.DeletionTimestamp != nil && len(o.Finalizers) == 0 {
		s.drop(o)
		return
	}
	s.version++
	o.ResourceVersion = strconv.Itoa(s.version)
	if err := s.Tracker().Update(gvr, o, o.Namespace); err != nil {
		panic(err)
	}
	if s.notify != nil {
		s.notify(s.resourceOf(gvr), o, false)
	}
}

func (s *server) current(gvr schema.GroupVersionResource, namespace, name string) (*object, error) {
	found, err := s.Tracker().Get(gvr, namespace, name)
	if err != nil {
		return nil, err
	}
	return found.DeepCopyObject().(*object), nil
}

func (s *server) handleDelete(gvr schema.GroupVersionResource, namespace, name string, options metav1.DeleteOptions) error {
	o, err := s.current(gvr, namespace, name)
	if err != nil {
		return err
	}
	if s.beforeDelete != nil {
		if err := s.beforeDelete(o, options); err != nil {
			return err
		}
		if o, err = s.current(gvr, namespace, name); err != nil {
			return err
		}
	}
	if p := options.Preconditions; p != nil {
		if p.UID != nil && *p.UID != o.UID || p.ResourceVersion != nil && *p.ResourceVersion != o.ResourceVersion {
			return apierrors.NewConflict(gvr.GroupResource(), name, errors.New("precondition failed"))
		}
	}
	o.Finalizers = slices.DeleteFunc(o.Finalizers, func(f string) bool {
		return f == metav1.FinalizerDeleteDependents || f == metav1.FinalizerOrphanDependents
	})
	switch *options.PropagationPolicy {
	case metav1.DeletePropagationForeground:
		o.Finalizers = append(o.Finalizers, metav1.FinalizerDeleteDependents)
	case metav1.DeletePropagationOrphan:
		o.Finalizers = append(o.Finalizers, metav1.FinalizerOrphanDependents)
	}
	if o.DeletionTimestamp == nil {
		o.DeletionTimestamp = new(metav1.NewTime(time.Unix(1, 0)))
	}
	s.store(gvr, o)
	return nil
}

func (s *server) handlePatch(gvr schema.GroupVersionResource, namespace, name string, kind types.PatchType, patch []byte) (*object, error) {
	o, err := s.current(gvr, namespace, name)
	if err != nil {
		return nil, err
	}
	var conditions object
	if err := json.Unmarshal(patch, &conditions); err != nil {
		return nil, err
	}
	if conditions.UID != "" && conditions.UID != o.UID || conditions.ResourceVersion != "" && conditions.ResourceVersion != o.ResourceVersion {
		return nil, apierrors.NewConflict(gvr.GroupResource(), name, errors.New("precondition failed"))
	}
	patched := o.DeepCopy()
	switch kind {
	case types.MergePatchType:
		// Good enough for patches of lists of strings, which are replaced.
		err = json.Unmarshal(patch, patched)
	case types.StrategicMergePatchType:
		var before, after []byte
		if before, err = json.Marshal(o); err != nil {
			break
		}
		if after, err = strategicpatch.StrategicMergePatch(before, patch, object{}); err != nil {
			break
		}
		patched = &object{}
		err = json.Unmarshal(after, patched)
	default:
		err = fmt.Errorf("unexpected patch type %s", kind)
	}
	if err != nil {
		return nil, err
	}
	for _, ref := range patched.OwnerReferences {
		if ref.APIVersion == "" || ref.Kind == "" || ref.Name == "" {
			return nil, apierrors.NewInvalid(schema.GroupKind{Kind: o.Kind}, name, nil)
		}
	}
	s.store(gvr, patched)
	return patched, nil
}
