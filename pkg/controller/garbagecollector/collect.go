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
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
)

var (
	// errForeignScope says that a cluster-scoped object names a namespaced owner, which can't be looked up. It never will.
	errForeignScope = errors.New("a cluster-scoped object can't have a namespaced owner")
	// errUnseenOwner says that an owner exists that no watch has shown yet. Until one does, nobody would tell of its end.
	errUnseenOwner = errors.New("the owner has not been seen by its watch yet")
	// errUnseenDependent says that an owner waits for a dependent that no watch has shown yet.
	errUnseenDependent = errors.New("a dependent has not been seen by its watch yet")
)

// absentOwner names an owner that the server said does not exist. UIDs don't come back, so what was said stays true.
type absentOwner struct {
	resource        *Resource
	namespace, name string
	uid             types.UID
}

// collect does what is due with the object of the given UID: nothing, if its owners are well. Its errors are to be retried, but for
// errForeignScope.
func (c *Controller) collect(ctx context.Context, uid types.UID) error {
	n := c.graph.get(uid)
	switch {
	case n == nil:
		return nil
	case n.deletingDependents:
		return c.finishForeground(ctx, n)
	case n.beingDeleted || !c.graph.suspect(n):
		return nil
	}
	live, err := c.live(ctx, n)
	if err != nil || live == nil || live.DeletionTimestamp != nil {
		return err
	}
	states := make([]ownerState, len(live.OwnerReferences))
	for i, ref := range live.OwnerReferences {
		if states[i], err = c.ownerState(ctx, n, ref); err != nil {
			return fmt.Errorf("look up owner %s %s %q: %w", ref.APIVersion, ref.Kind, ref.Name, err)
		}
	}
	next := decide(live, states, c.graph.hasDependents(uid))
	switch {
	case next.remove:
		return c.remove(ctx, n, live, next.propagation)
	case len(next.forget) > 0:
		return c.forgetOwners(ctx, n, next.forget)
	}
	for i, ref := range live.OwnerReferences {
		if states[i] == solid && !c.graph.sees(n, ref) {
			return errUnseenOwner
		}
	}
	return nil
}

// finishForeground lets go of an owner that waits for its dependents, once none blocks it. Until then its dependents are
// on the queue themselves, or being deleted; what is left to do is to break a loop of owners that wait for each other.
func (c *Controller) finishForeground(ctx context.Context, n *node) error {
	if c.graph.blocked(n.uid) {
		if loops := c.graph.loops(n.uid); len(loops) > 0 {
			return c.unblockOwners(ctx, n, loops)
		}
		return nil
	}
	for _, resource := range c.ownedBy(n) {
		dependents, err := c.allDependents(ctx, n, resource)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(dependents, func(d *node) bool { return c.graph.blocks(d, n) }) {
			return errUnseenDependent
		}
	}
	return c.removeFinalizer(ctx, n, metav1.FinalizerDeleteDependents)
}

// live returns the object as the server has it, or nil if it is gone.
func (c *Controller) live(ctx context.Context, n *node) (*metav1.PartialObjectMetadata, error) {
	obj, err := c.client(n.resource, n.namespace).Get(ctx, n.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get object: %w", err)
	}
	if obj.UID != n.uid {
		return nil, nil
	}
	return obj, nil
}

// ownerState asks the server for the owner that a reference of n names, unless it is known to be absent.
func (c *Controller) ownerState(ctx context.Context, n *node, ref metav1.OwnerReference) (ownerState, error) {
	resource := c.graph.kinds.of(ref)
	if resource == nil {
		return 0, errUnknownKind
	}
	key := absentOwner{resource: resource, name: ref.Name, uid: ref.UID}
	if resource.Namespaced {
		if n.namespace == "" {
			return 0, errForeignScope
		}
		key.namespace = n.namespace
	}
	if _, absent := c.absent.Get(key); absent {
		return dangling, nil
	}
	owner, err := c.client(resource, key.namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), err == nil && owner.UID != ref.UID:
		c.absent.Add(key, nil)
		return dangling, nil
	case err != nil:
		return 0, err
	case owner.DeletionTimestamp != nil && slices.Contains(owner.Finalizers, metav1.FinalizerDeleteDependents):
		return waiting, nil
	default:
		return solid, nil
	}
}

// remove deletes the object if nothing but its state has changed since live was read: its owner references decided, so
// they must be the same. That way an object that is updated all the time is deleted too.
func (c *Controller) remove(ctx context.Context, n *node, live *metav1.PartialObjectMetadata, propagation metav1.DeletionPropagation) error {
	klog.FromContext(ctx).V(2).Info("Deleting an object without owners", "propagation", propagation)
	client := c.client(n.resource, n.namespace)
	options := metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion},
		PropagationPolicy: &propagation,
	}
	err := client.Delete(ctx, n.name, options)
	if apierrors.IsConflict(err) {
		latest, getErr := c.live(ctx, n)
		if getErr != nil || latest == nil {
			return getErr
		}
		if !slices.EqualFunc(latest.OwnerReferences, live.OwnerReferences, equalReferences) {
			return fmt.Errorf("owner references changed meanwhile: %w", err)
		}
		options.Preconditions.ResourceVersion = nil
		err = client.Delete(ctx, n.name, options)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete object: %w", err)
	}
	return nil
}
