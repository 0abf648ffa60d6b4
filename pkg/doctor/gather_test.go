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

package doctor

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
)

// paths of a cluster's API that the doctor reads.
const (
	registrationPath = "/apis/apiregistration.k8s.io/v1/apiservices/v1.batch.jobserver.dev"
	servicePath      = "/api/v1/namespaces/jobserver-system/services/jobserver"
	readyzPath       = "/api/v1/namespaces/jobserver-system/services/https:jobserver:443/proxy/readyz"
	slicesPath       = "/apis/discovery.k8s.io/v1/namespaces/jobserver-system/endpointslices"
	podsPath         = "/api/v1/namespaces/jobserver-system/pods"
	setsPath         = "/apis/apps/v1/namespaces/jobserver-system/statefulsets"
	secretPath       = "/api/v1/namespaces/jobserver-system/secrets/jobserver-certificates"
	storagePath      = "/api/v1/namespaces/jobserver-system/configmaps/jobserver-storage"
	frontProxyPath   = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
	groupPath        = "/apis/batch.jobserver.dev/v1"
	reviewPath       = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
)

// fakeCluster answers as a cluster's API server does, with the server installed in it. By path it has what is answered: an object, or a function.
type fakeCluster map[string]any

// answerAs is an answer of a function's own.
type answerAs = func(http.ResponseWriter, *http.Request)

func newFakeCluster(t *testing.T) fakeCluster {
	t.Helper()
	_, bundle := issue(t, "jobserver.jobserver-system.svc", time.Now().Add(90*24*time.Hour))
	type object = map[string]any
	labels := object{"app.kubernetes.io/name": "jobserver"}
	return fakeCluster{
		"/version": object{"gitVersion": "v1.37.2"},
		registrationPath: object{
			"spec":   object{"service": object{"namespace": "jobserver-system", "name": "jobserver", "port": 443}, "groupPriorityMinimum": 1000, "caBundle": bundle},
			"status": object{"conditions": []object{{"type": "Available", "status": "True"}}},
		},
		// Nobody answers there: as the network of a cluster, seen from outside.
		servicePath: object{
			"metadata": object{"namespace": "jobserver-system", "name": "jobserver"},
			"spec":     object{"clusterIP": "127.255.255.255", "selector": labels, "ports": []object{{"name": "https", "port": 443}}},
		},
		slicesPath: object{"items": []object{{"ports": []object{{"name": "https", "port": 8443}}, "endpoints": []object{{"conditions": object{"ready": true}}}}}},
		podsPath:   object{"items": []object{{"metadata": object{"name": "jobserver-0"}}}},
		setsPath:   object{"items": []object{{"metadata": object{"name": "jobserver"}, "spec": object{"replicas": 1, "template": object{"metadata": object{"labels": labels}}}}}},
		"/apis/apps/v1/namespaces/jobserver-system/deployments": object{},
		secretPath:     object{"data": object{"ca-bundle.crt": bundle}},
		storagePath:    object{"data": object{"mark": "{}"}},
		frontProxyPath: object{"data": object{"requestheader-client-ca-file": string(bundle)}},
		groupPath:      object{},
		groupPath + "/jobs": answerAs(func(w http.ResponseWriter, request *http.Request) {
			if request.Header.Get("Impersonate-User") != "system:serviceaccount:kube-system:generic-garbage-collector" {
				http.Error(w, "the rights of whom?", http.StatusBadRequest)
			}
		}),
		readyzPath: answerAs(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, "[+]ping ok\n[+]etcd ok\nreadyz check passed")
		}),
		reviewPath: reviews(func(string) bool { return true }),
	}
}

// reviews answers what an account may do, by the name of a resource.
func reviews(allowed func(resource string) bool) answerAs {
	return func(w http.ResponseWriter, request *http.Request) {
		var review authorizationv1.SubjectAccessReview
		if err := json.NewDecoder(request.Body).Decode(&review); err != nil || review.Spec.User != "system:serviceaccount:jobserver-system:jobserver" {
			http.Error(w, fmt.Sprintf("%v %+v", err, review.Spec), http.StatusBadRequest)
			return
		}
		review.Status.Allowed = allowed(review.Spec.ResourceAttributes.Resource)
		writeJSON(w, http.StatusCreated, review)
	}
}

func writeJSON(w http.ResponseWriter, code int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object) // who hung up sees it himself
}

// ServeHTTP implements http.Handler.
func (f fakeCluster) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	switch object := f[request.URL.Path].(type) {
	case nil:
		writeJSON(w, http.StatusNotFound, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404})
	case answerAs:
		object(w, request)
	default:
		writeJSON(w, http.StatusOK, object)
	}
}

// TestExamine breaks what the end-to-end tests can't, in a cluster of paper: the facts are really gathered. want is the link that is bad, with words
// of its detail and of what mends it; others may follow from it.
func TestExamine(t *testing.T) {
	t.Parallel()
	code := func(code int, body string) answerAs {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, body, code) }
	}
	for name, test := range map[string]struct {
		change             fakeCluster
		link, detail, mend string
	}{
		"nothing": {},
		"not registered": {
			fakeCluster{registrationPath: nil}, "APIService", "not registered", "kubectl create -f artifacts/kustomize/base/apiservice.yaml",
		},
		"not installed": {
			fakeCluster{registrationPath: nil, setsPath: map[string]any{}}, "APIService", "not registered", "kubectl apply -k artifacts/kustomize/overlays/embedded-etcd",
		},
		"no Service": {fakeCluster{servicePath: nil}, "service", "jobserver-system/jobserver is not there", "kubectl create -f artifacts/kustomize/base/service.yaml"},
		"the Pod is not ready": {
			fakeCluster{
				slicesPath: map[string]any{"items": []any{}},
				podsPath: map[string]any{"items": []any{map[string]any{
					"metadata": map[string]any{"name": "jobserver-0"},
					"status": map[string]any{"containerStatuses": []any{map[string]any{
						"name": "apiserver", "state": map[string]any{"waiting": map[string]any{"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
					}}},
				}}},
			},
			"endpoints", "jobserver-0: CrashLoopBackOff, back-off 5m0s", "kubectl describe pods",
		},
		"the Service selects nothing": {
			fakeCluster{
				slicesPath: map[string]any{}, podsPath: map[string]any{},
				servicePath: map[string]any{
					"metadata": map[string]any{"namespace": "jobserver-system", "name": "jobserver"},
					"spec":     map[string]any{"clusterIP": "127.255.255.255", "selector": map[string]any{"app": "x"}, "ports": []any{map[string]any{"name": "https", "port": 443}}},
				},
			},
			"endpoints", `"app=x"`, "kubectl patch service -n jobserver-system jobserver",
		},
		"a right is missing": {
			fakeCluster{reviewPath: reviews(func(resource string) bool { return resource != "configmaps" })},
			"rights", "may not get/list/watch configmaps extension-apiserver-authentication (for believing the cluster's API server)", "kubectl auth reconcile",
		},
		"no front proxy": {fakeCluster{frontProxyPath: nil}, "front proxy", "is not there", "--requestheader-client-ca-file"},
		"junk for the front proxy": {
			fakeCluster{frontProxyPath: map[string]any{"data": map[string]any{"requestheader-client-ca-file": "junk"}}},
			"front proxy", "authority is not PEM", "--requestheader-client-ca-file",
		},
		"delegated calls are refused": {
			fakeCluster{groupPath + "/jobs": code(403, `{"message":"jobs is forbidden","details":{"kind":"jobs"}}`)},
			"delegated call", "jobs is forbidden", "kubectl auth reconcile",
		},
		"the front proxy is not believed": {fakeCluster{groupPath: code(401, "Unauthorized")}, "request", "401", "--proxy-client-cert-file"},
		"etcd is away":                    {fakeCluster{readyzPath: code(500, "[+]ping ok\n[-]etcd failed: reason withheld")}, "health and etcd", "etcd failed", "--etcd-servers"},
		"data of a backup": {
			fakeCluster{storagePath: map[string]any{"data": map[string]any{"refused": "it is older", "accept": "kubectl annotate this"}}},
			"data", "it is older", "kubectl annotate this",
		},
		"the clock of our server": {
			fakeCluster{groupPath: answerAs(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
			})},
			"clocks", "the clock of our server is 1h0m", "chronyc",
		},
		"the clock of the cluster": {
			fakeCluster{"/version": answerAs(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
				writeJSON(w, http.StatusOK, map[string]any{"gitVersion": "v1.37.2"})
			})},
			"clocks", "the clock of the cluster's API server is", "chronyc",
		},
		"another bundle": {
			fakeCluster{secretPath: map[string]any{"data": map[string]any{"ca-bundle.crt": []byte("other")}}},
			"caBundle", "not what the server's certificates are checked by", "kubectl get secret -n jobserver-system jobserver-certificates",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := newFakeCluster(t)
			maps.Copy(cluster, test.change)
			server := httptest.NewServer(cluster)
			defer server.Close()
			examined := options
			// The cluster of paper reads no protobuf.
			examined.Cluster = &rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
			findings, err := Examine(t.Context(), examined)
			if err != nil {
				t.Fatal(err)
			}
			for _, finding := range findings {
				// Nobody answers where the Service is: the certificate is all that can't be seen.
				if test.link == "" && (finding.Verdict != Good) != (finding.Link == "certificate") {
					t.Errorf("nothing is wrong, and it finds %+v", finding)
				}
				if finding.Link == test.link && (finding.Verdict != Bad || !strings.Contains(finding.Detail, test.detail) || !strings.Contains(finding.cured(), test.mend)) {
					t.Errorf("got %+v, want %q, mended by %q", finding, test.detail, test.mend)
				}
			}
		})
	}
}
