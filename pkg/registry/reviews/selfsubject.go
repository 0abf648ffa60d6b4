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

package reviews

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
)

// selfSubjectReview tells callers who the server takes them for (KEP-3325).
type selfSubjectReview struct{}

var (
	_ rest.Creater              = &selfSubjectReview{}
	_ rest.Scoper               = &selfSubjectReview{}
	_ rest.SingularNameProvider = &selfSubjectReview{}
)

// New returns an empty review.
func (*selfSubjectReview) New() runtime.Object { return &authenticationv1.SelfSubjectReview{} }

// Destroy does nothing: nothing is stored.
func (*selfSubjectReview) Destroy() {}

// NamespaceScoped is false.
func (*selfSubjectReview) NamespaceScoped() bool { return false }

// GetSingularName returns the name of one review.
func (*selfSubjectReview) GetSingularName() string { return "selfsubjectreview" }

// Create answers a review with the caller's user, groups, UID and extra.
func (*selfSubjectReview) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	if _, ok := obj.(*authenticationv1.SelfSubjectReview); !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a SelfSubjectReview: %T", obj))
	}
	caller, err := admittedCaller(ctx, obj, validate)
	if err != nil {
		return nil, err
	}
	extra := map[string]authenticationv1.ExtraValue{}
	for key, values := range caller.GetExtra() {
		extra[key] = values
	}
	return &authenticationv1.SelfSubjectReview{
		ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.Now()},
		Status: authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{
			Username: caller.GetName(), UID: caller.GetUID(), Groups: caller.GetGroups(), Extra: extra,
		}},
	}, nil
}
