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
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"
)

// forgetOwners takes the references to the owners off the object.
func (c *Controller) forgetOwners(ctx context.Context, n *node, owners []types.UID) error {
	klog.FromContext(ctx).V(2).Info("Removing owner references", "owners", owners)
	return c.patch(ctx, n, types.StrategicMergePatchType, forgetOwnersPatch(n.uid, owners))
}

// forgetOwnersPatch is a strategic merge patch that removes the references to the owners, where they are, and changes
// nothing else. The server refuses it with a conflict if the object is not the one with the UID.
func forgetOwnersPatch(uid types.UID, owners []types.UID) map[string]any {
	references := make([]any, 0, len(owners))
	for _, owner := range owners {
		references = append(references, map[string]any{"$patch": "delete", "uid": owner})
	}
	return map[string]any{"metadata": map[string]any{"uid": uid, "ownerReferences": references}}
}

// unblockOwners keeps the object from blocking the deletion of the owners any longer.
func (c *Controller) unblockOwners(ctx context.Context, n *node, owners []types.UID) error {
	live, err := c.live(ctx, n)
	if err != nil || live == nil {
		return err
	}
	klog.FromContext(ctx).V(2).Info("Breaking a loop of owners that wait for each other", "owners", owners)
	return c.patch(ctx, n, types.StrategicMergePatchType, unblockOwnersPatch(live, owners))
}

// unblockOwnersPatch is a strategic merge patch that sets blockOwnerDeletion of the references to the owners to false. It is tied to
// the resource version: were a reference gone meanwhile, the patch would add a broken one.
func unblockOwnersPatch(live *metav1.PartialObjectMetadata, owners []types.UID) map[string]any {
	var references []any
	for _, ref := range live.OwnerReferences {
		if slices.Contains(owners, ref.UID) {
			references = append(references, map[string]any{"uid": ref.UID, "blockOwnerDeletion": false})
		}
	}
	return map[string]any{"metadata": map[string]any{
		"uid": live.UID, "resourceVersion": live.ResourceVersion, "ownerReferences": references,
	}}
}

// removeFinalizer takes the finalizer off the object; others stay in their order.
func (c *Controller) removeFinalizer(ctx context.Context, n *node, finalizer string) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		live, err := c.live(ctx, n)
		if err != nil || live == nil || !slices.Contains(live.Finalizers, finalizer) {
			return err
		}
		klog.FromContext(ctx).V(2).Info("Removing a finalizer", "finalizer", finalizer)
		rest := slices.DeleteFunc(slices.Clone(live.Finalizers), func(f string) bool { return f == finalizer })
		return c.patch(ctx, n, types.MergePatchType, map[string]any{"metadata": map[string]any{
			"uid": live.UID, "resourceVersion": live.ResourceVersion, "finalizers": rest,
		}})
	})
}

// patch sends the patch. That the object is gone is no error.
func (c *Controller) patch(ctx context.Context, n *node, kind types.PatchType, patch map[string]any) error {
	data, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("encode patch: %w", err)
	}
	_, err = c.client(n.resource, n.namespace).Patch(ctx, n.name, kind, data, metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("patch object: %w", err)
	}
	return nil
}
