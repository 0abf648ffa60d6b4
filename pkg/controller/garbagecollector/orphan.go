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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
)

// orphanParallelism is how many dependents of one owner are patched at once.
const orphanParallelism = 16

// orphan makes the dependents of the object with the UID forget it, and then lets it go.
func (c *Controller) orphan(ctx context.Context, uid types.UID) error {
	owner := c.graph.get(uid)
	if owner == nil || !owner.orphaning {
		return nil
	}
	for _, resource := range c.ownedBy(owner) {
		dependents, err := c.allDependents(ctx, owner, resource)
		if err != nil {
			return err
		}
		if err := c.forgetOwner(ctx, owner, dependents); err != nil {
			return fmt.Errorf("orphan %s: %w", resource.Resource, err)
		}
	}
	return c.removeFinalizer(ctx, owner, metav1.FinalizerOrphanDependents)
}

// forgetOwner takes the references to the owner off the dependents. It tries all, and joins the errors.
func (c *Controller) forgetOwner(ctx context.Context, owner *node, dependents []*node) error {
	errs := make([]error, len(dependents))
	workqueue.ParallelizeUntil(ctx, orphanParallelism, len(dependents), func(i int) {
		errs[i] = c.forgetOwners(ctx, dependents[i], []types.UID{owner.uid})
	})
	return errors.Join(append(errs, ctx.Err())...)
}
