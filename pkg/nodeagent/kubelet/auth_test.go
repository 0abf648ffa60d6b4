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

package kubelet

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// newCluster returns a client of an API server that knows tokens, which are the names of their users, and lets users do what allowed says of them. A
// broken one answers no question about rights.
func newCluster(t *testing.T, allowed map[string][]string, broken bool) kubernetes.Interface {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", func(w http.ResponseWriter, request *http.Request) {
		var review authenticationv1.TokenReview
		decode(t, request, &review)
		_, review.Status.Authenticated = allowed[review.Spec.Token]
		review.Status.User = authenticationv1.UserInfo{Username: review.Spec.Token}
		if review.Spec.Token == "admin" {
			review.Status.User.Groups = []string{"system:masters"}
		}
		encode(t, w, review)
	})
	mux.HandleFunc("POST /apis/authorization.k8s.io/v1/subjectaccessreviews", func(w http.ResponseWriter, request *http.Request) {
		if broken {
			http.Error(w, "on fire", http.StatusForbidden)
			return
		}
		var review authorizationv1.SubjectAccessReview
		decode(t, request, &review)
		asked := review.Spec.ResourceAttributes
		if asked.Resource != "nodes" || asked.Name != "node" || asked.Group != "" {
			t.Errorf("asked about %+v", asked)
		}
		review.Status.Allowed = slices.Contains(allowed[review.Spec.User], asked.Verb+" "+asked.Subresource)
		encode(t, w, review)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func decode(t *testing.T, request *http.Request, into any) {
	if err := json.NewDecoder(request.Body).Decode(into); err != nil {
		t.Errorf("not a review: %v", err)
	}
}

func encode(t *testing.T, w http.ResponseWriter, review any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(review); err != nil {
		t.Errorf("answer a review: %v", err)
	}
}

func TestAuth(t *testing.T) {
	t.Parallel()
	allowed := map[string][]string{
		"prober": {"get healthz"}, "lister": {"get pods"}, "scraper": {"get metrics"}, "apiserver": {"get proxy", "create proxy"}, "nobody": nil, "admin": nil,
	}
	tests := map[string]struct {
		method, path, token string
		broken, allowAll    bool
		want                int
	}{
		"no token":                       {path: "/pods", want: 401},
		"unknown token":                  {path: "/pods", token: "other", want: 401},
		"known, without rights":          {path: "/pods", token: "nobody", want: 403},
		"known, where all may":           {path: "/pods", token: "nobody", allowAll: true, want: 200},
		"unknown, where all may":         {path: "/pods", token: "other", allowAll: true, want: 401},
		"fine-grained: health":           {path: "/healthz", token: "prober", want: 200},
		"fine-grained: one check":        {path: "/healthz/ping", token: "prober", want: 200},
		"fine-grained: Pods":             {path: "/pods", token: "lister", want: 200},
		"fine-grained, elsewhere":        {path: "/containerLogs/ns/pod/main", token: "lister", want: 403},
		"a name that begins alike":       {path: "/podsand", token: "lister", want: 403},
		"metrics":                        {path: "/metrics", token: "scraper", want: 200},
		"metrics are not under proxy":    {path: "/metrics", token: "apiserver", want: 403},
		"proxy: logs":                    {path: "/containerLogs/ns/pod/main", token: "apiserver", want: 200},
		"proxy: Pods":                    {path: "/pods", token: "apiserver", want: 200},
		"proxy: exec":                    {method: "POST", path: "/exec/ns/pod/main", token: "apiserver", want: 200},
		"proxy: a method without rights": {method: "DELETE", path: "/exec/ns/pod/main", token: "apiserver", want: 403},
		"administrator":                  {path: "/pods", token: "admin", want: 200},
		"administrator, server down":     {path: "/pods", token: "admin", broken: true, want: 200},
		"other, server down":             {path: "/pods", token: "lister", broken: true, want: 500},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			auth, err := NewAuth(AuthConfig{NodeName: "node", Client: newCluster(t, allowed, test.broken), ReviewTokens: true, AllowAll: test.allowAll})
			if err != nil {
				t.Fatal(err)
			}
			passed := false
			handler := auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true }))
			method := test.method
			if method == "" {
				method = http.MethodGet
			}
			request := httptest.NewRequest(method, test.path, nil)
			if test.token != "" {
				request.Header.Set("Authorization", "Bearer "+test.token)
			}
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, request)
			if recorder.Code != test.want || passed != (test.want == 200) {
				t.Errorf("got %d, passed on: %t, want %d", recorder.Code, passed, test.want)
			}
		})
	}
}
