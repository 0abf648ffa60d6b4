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
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/rest"
)

// selfSubjectRulesReview tells callers all that they may do in a namespace, as kubectl auth can-i --list asks. An authorizer without roles has no list
// of it: whoever may do everything is told that, and all others that the list is not complete.
type selfSubjectRulesReview struct {
	authorizer authorizer.Authorizer
}

var (
	_ rest.Creater              = &selfSubjectRulesReview{}
	_ rest.Scoper               = &selfSubjectRulesReview{}
	_ rest.SingularNameProvider = &selfSubjectRulesReview{}
)

// New returns an empty review.
func (*selfSubjectRulesReview) New() runtime.Object { return &authorizationv1.SelfSubjectRulesReview{} }

// Destroy does nothing: nothing is stored.
func (*selfSubjectRulesReview) Destroy() {}

// NamespaceScoped is false.
func (*selfSubjectRulesReview) NamespaceScoped() bool { return false }

// GetSingularName returns the name of one review.
func (*selfSubjectRulesReview) GetSingularName() string { return "selfsubjectrulesreview" }

// Create answers a review with the rules for its namespace. The error is a bad request where there is no caller or no namespace.
func (r *selfSubjectRulesReview) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	review, ok := obj.(*authorizationv1.SelfSubjectRulesReview)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a SelfSubjectRulesReview: %T", obj))
	}
	if review.Spec.Namespace == "" {
		return nil, apierrors.NewBadRequest("no namespace on request")
	}
	caller, err := admittedCaller(ctx, obj, validate)
	if err != nil {
		return nil, err
	}
	answer := review.DeepCopy()
	answer.Status = authorizationv1.SubjectRulesReviewStatus{
		ResourceRules: []authorizationv1.ResourceRule{}, NonResourceRules: []authorizationv1.NonResourceRule{},
	}
	every := []string{"*"}
	for _, ask := range []struct {
		attributes authorizer.AttributesRecord
		allowed    func()
	}{
		{
			authorizer.AttributesRecord{User: caller, Verb: "*", Namespace: review.Spec.Namespace, APIGroup: "*", APIVersion: "*", Resource: "*", ResourceRequest: true},
			func() {
				answer.Status.ResourceRules = append(answer.Status.ResourceRules, authorizationv1.ResourceRule{Verbs: every, APIGroups: every, Resources: every})
			},
		},
		{
			authorizer.AttributesRecord{User: caller, Verb: "*", Path: "*"},
			func() {
				answer.Status.NonResourceRules = append(answer.Status.NonResourceRules, authorizationv1.NonResourceRule{Verbs: every, NonResourceURLs: every})
			},
		},
	} {
		decision, _, err := r.authorizer.Authorize(ctx, ask.attributes)
		switch {
		case err != nil:
			answer.Status.Incomplete, answer.Status.EvaluationError = true, err.Error()
		case decision == authorizer.DecisionAllow:
			ask.allowed()
		default:
			answer.Status.Incomplete = true
		}
	}
	return answer, nil
}
