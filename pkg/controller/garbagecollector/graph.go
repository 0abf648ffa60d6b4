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
	"slices"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// node is an object as the watch showed it last. Nodes are never changed, only replaced, so they need no lock.
type node struct {
	resource  *Resource
	namespace string
	name      string
	uid       types.UID
	owners    []metav1.OwnerReference
	// beingDeleted: the object has a deletionTimestamp. There is no way back from there.
	beingDeleted bool
	// deletingDependents: it is being deleted and has the finalizer foregroundDeletion.
	deletingDependents bool
	// orphaning: it is being deleted and has the finalizer orphan.
	orphaning bool
	// version is the resource version as a number; 0 if it is none.
	version uint64
	// deletedAt is, of an object that is being deleted, the first version of it that showed so.
	deletedAt uint64
}

func newNode(resource *Resource, obj *metav1.PartialObjectMetadata) *node {
	deleted := obj.DeletionTimestamp != nil
	version, err := strconv.ParseUint(obj.ResourceVersion, 10, 64)
	if err != nil {
		version = 0
	}
	return &node{
		version:            version,
		deletedAt:          version,
		resource:           resource,
		namespace:          obj.Namespace,
		name:               obj.Name,
		uid:                obj.UID,
		owners:             obj.OwnerReferences,
		beingDeleted:       deleted,
		deletingDependents: deleted && slices.Contains(obj.Finalizers, metav1.FinalizerDeleteDependents),
		orphaning:          deleted && slices.Contains(obj.Finalizers, metav1.FinalizerOrphanDependents),
	}
}

// change is what follows from an event, for the controller to do.
type change struct {
	// collect and orphan are the objects to put on the queues of these names.
	collect, orphan []types.UID
	// foreign are references to an owner in another namespace, to be reported.
	foreign []foreignReference
}

// foreignReference is an owner reference of dependent that names the UID of an object in another namespace.
type foreignReference struct {
	dependent *node
	reference metav1.OwnerReference
}

// graph is who owns whom among the objects that the watches have shown. It holds no node for an owner that was never
// seen; its dependents are found all the same, by its UID. It is safe for concurrent use.
type graph struct {
	kinds kinds

	mu sync.Mutex
	// nodes are the objects, by UID.
	nodes map[types.UID]*node
	// dependents are the UIDs of the objects that name the UID as an owner's, whether that owner is known or not.
	dependents map[types.UID]map[types.UID]struct{}
	// seen is the newest version that the watch of each resource has shown.
	seen map[*Resource]uint64
}

func newGraph(k kinds) *graph {
	return &graph{
		kinds:      k,
		nodes:      map[types.UID]*node{},
		dependents: map[types.UID]map[types.UID]struct{}{},
		seen:       map[*Resource]uint64{},
	}
}

// observe takes in an object that was added or updated. The node is the graph's from then on.
func (g *graph) observe(n *node) change {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen[n.resource] = max(g.seen[n.resource], n.version)
	old, known := g.nodes[n.uid]
	if !known {
		old = &node{uid: n.uid}
	}
	if old.beingDeleted {
		n.deletedAt = old.deletedAt
	}
	sameOwners := slices.EqualFunc(old.owners, n.owners, equalReferences)

	var c change
	if !sameOwners {
		g.unlink(old)
	}
	g.nodes[n.uid] = n
	if !sameOwners {
		g.link(n)
		g.released(old, &c)
		g.reportForeignOwners(old, n, &c)
	}
	if (!known || !sameOwners) && g.suspectLocked(n) {
		c.collect = append(c.collect, n.uid)
	}
	if !known {
		g.checkDependents(n, &c)
	}
	if n.deletingDependents && !old.deletingDependents {
		c.collect = append(c.collect, n.uid)
		c.collect = append(c.collect, g.dependentsOf(n.uid)...)
	}
	if n.orphaning && !old.orphaning {
		c.orphan = append(c.orphan, n.uid)
	}
	return c
}

// remove takes in that an object is gone; last is its last state.
func (g *graph) remove(last *node) change {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen[last.resource] = max(g.seen[last.resource], last.version)
	n := g.nodes[last.uid]
	if n == nil {
		return change{}
	}
	delete(g.nodes, n.uid)
	g.unlink(n)
	c := change{collect: g.dependentsOf(n.uid)}
	g.released(n, &c)
	return c
}

// get returns the object with the UID, or nil.
func (g *graph) get(uid types.UID) *node {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.nodes[uid]
}

// suspect tells whether the object has an owner that needs a closer look: one that was not seen, that is not what the
// reference says, or that is waiting for its dependents to go.
func (g *graph) suspect(n *node) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.suspectLocked(n)
}

func (g *graph) suspectLocked(n *node) bool {
	return slices.ContainsFunc(n.owners, func(ref metav1.OwnerReference) bool {
		owner := g.nodes[ref.UID]
		return owner == nil || owner.deletingDependents || !g.refersTo(n, ref, owner)
	})
}

// sees tells whether the graph knows the object that the reference of n names: then it will tell when it goes.
func (g *graph) sees(n *node, ref metav1.OwnerReference) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	owner := g.nodes[ref.UID]
	return owner != nil && g.refersTo(n, ref, owner)
}

// hasDependents tells whether any object names the UID as an owner's.
func (g *graph) hasDependents(uid types.UID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.dependents[uid]) > 0
}

// lags tells whether the graph may lack objects of the resource that were made before the deletion of n. The watches of two
// resources are not in step. All are of one etcd, though, whose revisions are the resource versions: once a watch has shown
// anything newer than the deletion, it has shown everything older (but for the instant in which a watch that broke is
// listed anew; then the answer is no better than upstream's, which never asks).
func (g *graph) lags(resource *Resource, n *node) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return n.deletedAt == 0 || g.seen[resource] < n.deletedAt
}

// dependentsIn returns the objects of the resource that name the UID as an owner's.
func (g *graph) dependentsIn(resource *Resource, uid types.UID) []*node {
	g.mu.Lock()
	defer g.mu.Unlock()
	var dependents []*node
	for dependent := range g.dependents[uid] {
		if d := g.nodes[dependent]; d.resource == resource {
			dependents = append(dependents, d)
		}
	}
	return dependents
}

// blocked tells whether a dependent keeps the object with the UID from being deleted in the foreground.
func (g *graph) blocked(uid types.UID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.nodes[uid]
	return n != nil && g.blockedLocked(n)
}

func (g *graph) blockedLocked(owner *node) bool {
	for uid := range g.dependents[owner.uid] {
		if g.blocks(g.nodes[uid], owner) {
			return true
		}
	}
	return false
}

// loops returns the owners of the object with the UID that wait for it, directly, while it waits for them, directly or
// over others that wait as well: none of them would ever go.
func (g *graph) loops(uid types.UID) []types.UID {
	g.mu.Lock()
	defer g.mu.Unlock()
	start := g.nodes[uid]
	if start == nil || !start.deletingDependents {
		return nil
	}
	waitsFor := map[types.UID]bool{}
	for next := []*node{start}; len(next) > 0; {
		owner := next[len(next)-1]
		next = next[:len(next)-1]
		for uid := range g.dependents[owner.uid] {
			d := g.nodes[uid]
			if !waitsFor[uid] && d.deletingDependents && g.blocks(d, owner) {
				waitsFor[uid] = true
				next = append(next, d)
			}
		}
	}
	var owners []types.UID
	for _, ref := range start.owners {
		if waitsFor[ref.UID] && g.blocks(start, g.nodes[ref.UID]) && !slices.Contains(owners, ref.UID) {
			owners = append(owners, ref.UID)
		}
	}
	return owners
}

// refersTo tells whether the reference of n names the owner with everything it says, not by its UID alone. A namespaced
// owner must be in n's namespace.
func (g *graph) refersTo(n *node, ref metav1.OwnerReference, owner *node) bool {
	return ref.UID == owner.uid && ref.Name == owner.name && g.kinds.of(ref) == owner.resource &&
		(!owner.resource.Namespaced || owner.namespace == n.namespace)
}

// blocks tells whether n keeps the owner from being deleted in the foreground. A reference that doesn't name the owner
// properly does not: its object is collected as if the owner were gone.
func (g *graph) blocks(n, owner *node) bool {
	return slices.ContainsFunc(n.owners, func(ref metav1.OwnerReference) bool {
		return ref.BlockOwnerDeletion != nil && *ref.BlockOwnerDeletion && g.refersTo(n, ref, owner)
	})
}

// released adds to c the owners of a former state of an object that waited for it and wait for nothing now.
func (g *graph) released(former *node, c *change) {
	for _, ref := range former.owners {
		owner := g.nodes[ref.UID]
		if owner != nil && owner.deletingDependents && !g.blockedLocked(owner) {
			c.collect = append(c.collect, owner.uid)
		}
	}
}

// checkDependents adds to c the known dependents of a new object that name it wrongly.
func (g *graph) checkDependents(owner *node, c *change) {
	for uid := range g.dependents[owner.uid] {
		d := g.nodes[uid]
		for _, ref := range d.owners {
			if ref.UID != owner.uid || g.refersTo(d, ref, owner) {
				continue
			}
			c.collect = append(c.collect, uid)
			if isForeign(d, owner) {
				c.foreign = append(c.foreign, foreignReference{dependent: d, reference: ref})
			}
		}
	}
}

// reportForeignOwners adds to c the references of n, other than those of its former state, to owners in another namespace.
func (g *graph) reportForeignOwners(former, n *node, c *change) {
	for _, ref := range n.owners {
		owner := g.nodes[ref.UID]
		isNew := !slices.ContainsFunc(former.owners, func(r metav1.OwnerReference) bool { return r.UID == ref.UID })
		if isNew && owner != nil && isForeign(n, owner) {
			c.foreign = append(c.foreign, foreignReference{dependent: n, reference: ref})
		}
	}
}

func isForeign(n, owner *node) bool {
	return owner.resource.Namespaced && owner.namespace != n.namespace
}

func (g *graph) link(n *node) {
	for _, ref := range n.owners {
		if g.dependents[ref.UID] == nil {
			g.dependents[ref.UID] = map[types.UID]struct{}{}
		}
		g.dependents[ref.UID][n.uid] = struct{}{}
	}
}

func (g *graph) unlink(n *node) {
	for _, ref := range n.owners {
		delete(g.dependents[ref.UID], n.uid)
		if len(g.dependents[ref.UID]) == 0 {
			delete(g.dependents, ref.UID)
		}
	}
}

func (g *graph) dependentsOf(uid types.UID) []types.UID {
	uids := make([]types.UID, 0, len(g.dependents[uid]))
	for dependent := range g.dependents[uid] {
		uids = append(uids, dependent)
	}
	return uids
}

func equalReferences(a, b metav1.OwnerReference) bool {
	return a.UID == b.UID && a.Name == b.Name && a.Kind == b.Kind && a.APIVersion == b.APIVersion &&
		(a.BlockOwnerDeletion != nil && *a.BlockOwnerDeletion) == (b.BlockOwnerDeletion != nil && *b.BlockOwnerDeletion)
}
