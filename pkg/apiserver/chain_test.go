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

package apiserver

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
)

// seen is what of a request's context the API goes by.
type seen struct {
	user     user.Info
	info     *request.RequestInfo
	deadline time.Time
	token    string
}

// nobody and anybody are authenticators, of whom the first knows none and the second takes all for administrators.
var (
	nobody  = authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) { return nil, false, nil })
	anybody = authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
		return &authenticator.Response{User: self}, true, nil
	})
)

// newChain returns a server's handler chain in front of an API that notes what it gets.
func newChain(knows authenticator.Request, authorizer authorizer.Authorizer, got *seen) http.Handler {
	config := &NewConfig().Generic.Config
	config.RequestInfoResolver = genericapiserver.NewRequestInfoResolver(config)
	config.FeatureGate = utilfeature.DefaultFeatureGate
	config.Authentication.Authenticator = knows
	config.Authorization.Authorizer = authorizer
	return buildHandlerChain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.user, _ = request.UserFrom(r.Context())
		got.info, _ = request.RequestInfoFrom(r.Context())
		got.deadline, _ = r.Context().Deadline()
		got.token = r.Header.Get("Authorization")
		w.WriteHeader(http.StatusTeapot)
	}), config)
}

func newPodRequest(ctx context.Context) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/namespaces/default/pods/pod", nil)
	r.Header.Set("Authorization", "Bearer token")
	return r
}

func TestOwnRequests(t *testing.T) {
	t.Parallel()
	var got seen
	config := NewConfig()
	t.Cleanup(config.transport.Close)
	// Not even an authorizer that allows nobody anything is asked.
	config.transport.Serve(newChain(nobody, authorizerfactory.NewAlwaysDenyAuthorizer(), &got))
	r := newPodRequest(t.Context())
	r.URL.Scheme, r.URL.Host, r.RequestURI = "https", "server.example", ""
	before := time.Now()
	response, err := (&http.Client{Transport: config.transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusTeapot {
		t.Errorf("status %d, want that of the API", response.StatusCode)
	}
	if got.user == nil || got.user.GetName() != "system:apiserver" || len(got.user.GetGroups()) != 2 || got.user.GetGroups()[1] != "system:masters" {
		t.Errorf("the API sees user %v", got.user)
	}
	if got.info == nil || got.info.Resource != "pods" || got.info.Name != "pod" {
		t.Errorf("the API sees request info %v", got.info)
	}
	if left := got.deadline.Sub(before); left < time.Second || left > 2*time.Minute {
		t.Errorf("the request has %v left, want about the server's minute", left)
	}
	if got.token != "" {
		t.Errorf("the API sees the token %q", got.token)
	}
}

func TestRequestsFromOutside(t *testing.T) {
	t.Parallel()
	var got seen
	answer := httptest.NewRecorder()
	newChain(nobody, authorizerfactory.NewAlwaysAllowAuthorizer(), &got).ServeHTTP(answer, newPodRequest(t.Context()))
	if answer.Code != http.StatusUnauthorized || got.info != nil {
		t.Errorf("status %d, want 401 from a server that knows nobody", answer.Code)
	}
}

// BenchmarkChain is what the filters cost in front of an API that does nothing.
func BenchmarkChain(b *testing.B) {
	for _, way := range []struct {
		name      string
		transport func(http.Handler) http.RoundTripper
	}{
		{"all filters", func(chain http.Handler) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				r = r.Clone(r.Context())
				r.RequestURI = r.URL.RequestURI()
				answer := httptest.NewRecorder()
				chain.ServeHTTP(answer, r)
				return answer.Result(), nil
			})
		}},
		{"own requests", func(chain http.Handler) http.RoundTripper {
			transport := NewConfig().transport
			b.Cleanup(transport.Close)
			transport.Serve(chain)
			return transport
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			transport := way.transport(newChain(anybody, authorizerfactory.NewAlwaysAllowAuthorizer(), &seen{}))
			r := newPodRequest(b.Context())
			r.RequestURI = ""
			b.ReportAllocs()
			for b.Loop() {
				response, err := transport.RoundTrip(r)
				if err != nil || response.StatusCode != http.StatusTeapot {
					b.Fatalf("status %v, error %v", response, err)
				}
				_ = response.Body.Close()
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }
