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

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/rest"
)

// selfSubjectAccessReview tells callers whether they may do something, by asking the server's own authorizer.
type selfSubjectAccessReview struct {
	authorizer authorizer.Authorizer
}

var (
	_ rest.Creater              = &selfSubjectAccessReview{}
	_ rest.Scoper               = &selfSubjectAccessReview{}
	_ rest.SingularNameProvider = &selfSubjectAccessReview{}
)

// New returns an empty review.
func (*selfSubjectAccessReview) New() runtime.Object {
	return &authorizationv1.SelfSubjectAccessReview{}
}

// Destroy does nothing: nothing is stored.
func (*selfSubjectAccessReview) Destroy() {}

// NamespaceScoped is false: the namespace that is asked about is part of the question.
func (*selfSubjectAccessReview) NamespaceScoped() bool { return false }

// GetSingularName returns the name of one review.
func (*selfSubjectAccessReview) GetSingularName() string { return "selfsubjectaccessreview" }

// Create answers a review. One that asks about both or neither of a resource and a path is invalid, as upstream.
func (r *selfSubjectAccessReview) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	review, ok := obj.(*authorizationv1.SelfSubjectAccessReview)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a SelfSubjectAccessReview: %T", obj))
	}
	if (review.Spec.ResourceAttributes == nil) == (review.Spec.NonResourceAttributes == nil) {
		kind := authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview").GroupKind()
		return nil, apierrors.NewInvalid(kind, "", field.ErrorList{field.Invalid(field.NewPath("spec", "resourceAttributes"),
			review.Spec.ResourceAttributes, "exactly one of nonResourceAttributes or resourceAttributes must be specified")})
	}
	caller, err := admittedCaller(ctx, obj, validate)
	if err != nil {
		return nil, err
	}
	decision, reason, err := r.authorizer.Authorize(ctx, attributes(caller, &review.Spec))
	review.Status = authorizationv1.SubjectAccessReviewStatus{
		Allowed: decision == authorizer.DecisionAllow,
		Denied:  decision == authorizer.DecisionDeny,
		Reason:  reason,
	}
	if err != nil {
		review.Status.EvaluationError = err.Error()
	}
	return review, nil
}

func attributes(caller user.Info, spec *authorizationv1.SelfSubjectAccessReviewSpec) authorizer.Attributes {
	if path := spec.NonResourceAttributes; path != nil {
		return authorizer.AttributesRecord{User: caller, Verb: path.Verb, Path: path.Path}
	}
	resource := spec.ResourceAttributes
	return authorizer.AttributesRecord{
		User:            caller,
		Verb:            resource.Verb,
		Namespace:       resource.Namespace,
		APIGroup:        resource.Group,
		APIVersion:      resource.Version,
		Resource:        resource.Resource,
		Subresource:     resource.Subresource,
		Name:            resource.Name,
		ResourceRequest: true,
	}
}
