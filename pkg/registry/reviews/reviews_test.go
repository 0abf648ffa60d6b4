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
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

var caller = &user.DefaultInfo{Name: "ann", UID: "7", Groups: []string{"dev"}, Extra: map[string][]string{"from": {"here"}}}

func TestSelfSubjectReview(t *testing.T) {
	t.Parallel()
	answer, err := (&selfSubjectReview{}).Create(genericapirequest.WithUser(t.Context(), caller), &authenticationv1.SelfSubjectReview{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := authenticationv1.UserInfo{Username: "ann", UID: "7", Groups: []string{"dev"}, Extra: map[string]authenticationv1.ExtraValue{"from": {"here"}}}
	if diff := cmp.Diff(want, answer.(*authenticationv1.SelfSubjectReview).Status.UserInfo); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	if _, err := (&selfSubjectReview{}).Create(t.Context(), &authenticationv1.SelfSubjectReview{}, nil, nil); !apierrors.IsBadRequest(err) {
		t.Errorf("without a user: got error %v, want a bad request", err)
	}
}

func TestSelfSubjectAccessReview(t *testing.T) {
	t.Parallel()
	resource := &authorizationv1.ResourceAttributes{
		Namespace: "ns", Verb: "create", Group: "batch", Version: "v1", Resource: "jobs", Subresource: "status", Name: "a",
	}
	tests := map[string]struct {
		spec     authorizationv1.SelfSubjectAccessReviewSpec
		decision authorizer.Decision
		fails    error
		asked    authorizer.AttributesRecord
		want     authorizationv1.SubjectAccessReviewStatus
	}{
		"resource allowed": {
			spec:     authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: resource},
			decision: authorizer.DecisionAllow,
			asked: authorizer.AttributesRecord{User: caller, Namespace: "ns", Verb: "create", APIGroup: "batch", APIVersion: "v1",
				Resource: "jobs", Subresource: "status", Name: "a", ResourceRequest: true},
			want: authorizationv1.SubjectAccessReviewStatus{Allowed: true, Reason: "because"},
		},
		"path denied": {
			spec:     authorizationv1.SelfSubjectAccessReviewSpec{NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/metrics", Verb: "get"}},
			decision: authorizer.DecisionDeny,
			asked:    authorizer.AttributesRecord{User: caller, Path: "/metrics", Verb: "get"},
			want:     authorizationv1.SubjectAccessReviewStatus{Denied: true, Reason: "because"},
		},
		"no opinion and an error": {
			spec:     authorizationv1.SelfSubjectAccessReviewSpec{NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/x", Verb: "get"}},
			decision: authorizer.DecisionNoOpinion,
			fails:    errors.New("broken"),
			asked:    authorizer.AttributesRecord{User: caller, Path: "/x", Verb: "get"},
			want:     authorizationv1.SubjectAccessReviewStatus{Reason: "because", EvaluationError: "broken"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked authorizer.Attributes
			review := &selfSubjectAccessReview{authorizer: authorizer.AuthorizerFunc(
				func(_ context.Context, attributes authorizer.Attributes) (authorizer.Decision, string, error) {
					asked = attributes
					return test.decision, "because", test.fails
				})}
			answer, err := review.Create(genericapirequest.WithUser(t.Context(), caller), &authorizationv1.SelfSubjectAccessReview{Spec: test.spec}, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, answer.(*authorizationv1.SelfSubjectAccessReview).Status); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.asked, asked, cmp.AllowUnexported(authorizer.AttributesRecord{})); diff != "" {
				t.Errorf("the authorizer was asked (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSelfSubjectAccessReviewErrors(t *testing.T) {
	t.Parallel()
	review := &selfSubjectAccessReview{}
	both := authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{}, NonResourceAttributes: &authorizationv1.NonResourceAttributes{},
	}
	for name, spec := range map[string]authorizationv1.SelfSubjectAccessReviewSpec{"neither": {}, "both": both} {
		_, err := review.Create(genericapirequest.WithUser(t.Context(), caller), &authorizationv1.SelfSubjectAccessReview{Spec: spec}, nil, nil)
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "exactly one of nonResourceAttributes or resourceAttributes") {
			t.Errorf("%s: got error %v, want an invalid review", name, err)
		}
	}
}

func TestSelfSubjectRulesReview(t *testing.T) {
	t.Parallel()
	every := []string{"*"}
	resources := []authorizationv1.ResourceRule{{Verbs: every, APIGroups: every, Resources: every}}
	paths := []authorizationv1.NonResourceRule{{Verbs: every, NonResourceURLs: every}}
	none := []authorizationv1.NonResourceRule{}
	for name, tc := range map[string]struct {
		decide func(authorizer.Attributes) (authorizer.Decision, error)
		want   authorizationv1.SubjectRulesReviewStatus
	}{
		"everything": {
			decide: func(authorizer.Attributes) (authorizer.Decision, error) { return authorizer.DecisionAllow, nil },
			want:   authorizationv1.SubjectRulesReviewStatus{ResourceRules: resources, NonResourceRules: paths},
		},
		"not everything": {
			decide: func(a authorizer.Attributes) (authorizer.Decision, error) {
				if a.IsResourceRequest() && a.GetNamespace() == "ns" {
					return authorizer.DecisionAllow, nil
				}
				return authorizer.DecisionNoOpinion, nil
			},
			want: authorizationv1.SubjectRulesReviewStatus{ResourceRules: resources, NonResourceRules: none, Incomplete: true},
		},
		"nobody knows": {
			decide: func(authorizer.Attributes) (authorizer.Decision, error) {
				return authorizer.DecisionNoOpinion, errors.New("broken")
			},
			want: authorizationv1.SubjectRulesReviewStatus{
				ResourceRules: []authorizationv1.ResourceRule{}, NonResourceRules: none, Incomplete: true, EvaluationError: "broken",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			review := &selfSubjectRulesReview{authorizer: authorizer.AuthorizerFunc(
				func(_ context.Context, attributes authorizer.Attributes) (authorizer.Decision, string, error) {
					decision, err := tc.decide(attributes)
					return decision, "", err
				})}
			asked := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "ns"}}
			answer, err := review.Create(genericapirequest.WithUser(t.Context(), caller), asked, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, answer.(*authorizationv1.SelfSubjectRulesReview).Status); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
	_, err := (&selfSubjectRulesReview{}).Create(genericapirequest.WithUser(t.Context(), caller), &authorizationv1.SelfSubjectRulesReview{}, nil, nil)
	if !apierrors.IsBadRequest(err) {
		t.Errorf("without a namespace: got error %v, want a bad request", err)
	}
}
