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

package quota

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/quota/v1/generic"
)

// checkStored refuses a Job where a quota of its namespace allows no more than are stored, in the words of the account's own refusal. Where the account is right it never
// refuses: what is stored has been charged.
func (p *plugin) checkStored(ctx context.Context, attributes named) error {
	namespace := attributes.GetNamespace()
	quotas, err := p.quotas.ResourceQuotas(namespace).List(labels.Everything())
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("list the quotas of namespace %s: %w", namespace, err))
	}
	counted := generic.ObjectCountQuotaResourceNameFor(attributes.resource.GroupResource())
	lowest, name := lowestLimit(quotas, counted)
	if name == "" {
		return nil
	}
	stored, err := p.config.CountStored(ctx, namespace)
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("count the Jobs of namespace %s: %w", namespace, err))
	}
	if lowest.CmpInt64(stored) > 0 {
		return nil
	}
	return admission.NewForbidden(attributes, fmt.Errorf("exceeded quota: %[1]s, requested: %[2]s=1, used: %[2]s=%[3]d, limited: %[2]s=%[4]s",
		name, counted, stored, lowest.String()))
}

// lowestLimit returns the lowest limit of a resource, and the quota that sets it; "" where none does. Quotas with scopes count no Jobs: scopes are about Pods.
func lowestLimit(quotas []*corev1.ResourceQuota, counted corev1.ResourceName) (lowest resource.Quantity, name string) {
	for _, quota := range quotas {
		hard, limited := quota.Status.Hard[counted]
		if !limited || len(quota.Spec.Scopes) > 0 || quota.Spec.ScopeSelector != nil {
			continue
		}
		if name == "" || hard.Cmp(lowest) < 0 {
			lowest, name = hard, quota.Name
		}
	}
	return lowest, name
}
