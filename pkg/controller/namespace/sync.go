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
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"
)

// errReplaced says that another namespace has the name now.
var errReplaced = errors.New("another namespace has the name")

// sync brings the deletion of the namespace forward: it deletes the content, says in the status how that went, and finalizes the
// namespace if it is empty. If content remains, it returns an estimate of how long that will be so.
func (c *Controller) sync(ctx context.Context, name string) (time.Duration, error) {
	_, err := c.lister.Get(name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("get namespace from the cache: %w", err)
	}
	ns, err := c.core.Namespaces().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("get namespace: %w", err)
	}
	if !isOurs(ns) {
		return 0, nil
	}
	if ns, err = c.updateStatus(ctx, ns, terminating); err != nil || ns == nil {
		return 0, err
	}
	o := c.deleteContent(ctx, ns)
	latest, err := c.updateStatus(ctx, ns, func(status *corev1.NamespaceStatus) bool {
		conditions, changed := updateConditions(status.Conditions, o, metav1.NewTime(c.clock.Now()))
		status.Conditions = conditions
		return changed
	})
	switch {
	case err != nil:
		// The conditions inform; that they could not be written must not keep the namespace.
		utilruntime.HandleErrorWithContext(ctx, err, "Failed to update the conditions of a namespace")
	case latest == nil:
		return 0, nil
	default:
		ns = latest
	}
	if len(o.failures) > 0 {
		return 0, errors.Join(o.failures...)
	}
	if wait := o.estimate(); wait > 0 {
		return wait, nil
	}
	return 0, c.finalize(ctx, ns)
}

// terminating sets the phase of a namespace that is being deleted. It tells whether that was new.
func terminating(status *corev1.NamespaceStatus) bool {
	changed := status.Phase != corev1.NamespaceTerminating
	status.Phase = corev1.NamespaceTerminating
	return changed
}

// updateStatus writes what change makes of the namespace's status, if it tells of a difference. It returns the namespace as it is
// then, or nil if it is gone.
func (c *Controller) updateStatus(ctx context.Context, ns *corev1.Namespace, change func(*corev1.NamespaceStatus) bool) (*corev1.Namespace, error) {
	updated, err := c.update(ctx, ns, func(ns *corev1.Namespace) (*corev1.Namespace, error) {
		if !change(&ns.Status) {
			return ns, nil
		}
		return c.core.Namespaces().UpdateStatus(ctx, ns, metav1.UpdateOptions{})
	})
	if err != nil {
		return nil, fmt.Errorf("update status: %w", err)
	}
	return updated, nil
}

// finalize takes this controller's name off the namespace's finalizers. If it was the last, the namespace is gone.
func (c *Controller) finalize(ctx context.Context, ns *corev1.Namespace) error {
	_, err := c.update(ctx, ns, func(ns *corev1.Namespace) (*corev1.Namespace, error) {
		ns.Spec.Finalizers = slices.DeleteFunc(ns.Spec.Finalizers, func(f corev1.FinalizerName) bool { return f == corev1.FinalizerKubernetes })
		return c.core.Namespaces().Finalize(ctx, ns, metav1.UpdateOptions{})
	})
	if err != nil {
		return fmt.Errorf("finalize: %w", err)
	}
	klog.FromContext(ctx).V(2).Info("Emptied and finalized a namespace", "uid", ns.UID)
	return nil
}

// update calls write with a copy of the namespace, and again with the latest one as long as that ends in a conflict. It returns
// what write returned, or nil if the namespace is gone or another one has its name.
func (c *Controller) update(ctx context.Context, ns *corev1.Namespace, write func(*corev1.Namespace) (*corev1.Namespace, error)) (*corev1.Namespace, error) {
	var result *corev1.Namespace
	latest := ns
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() (err error) {
		if latest == nil {
			if latest, err = c.core.Namespaces().Get(ctx, ns.Name, metav1.GetOptions{}); err != nil {
				return err
			}
			if latest.UID != ns.UID {
				return errReplaced
			}
		}
		result, err = write(latest.DeepCopy())
		latest = nil
		return err
	})
	if apierrors.IsNotFound(err) || errors.Is(err, errReplaced) {
		return nil, nil
	}
	return result, err
}
