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

package core_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	restclient "k8s.io/client-go/rest"
	basecompatibility "k8s.io/component-base/compatibility"

	"github.com/jobserver-dev/jobserver/pkg/generated/openapi"
	"github.com/jobserver-dev/jobserver/pkg/registry/core"
)

// newGenericServer serves core/v1 from a whole generic API server, with its filters and OpenAPI, as the product does.
// It takes longer to start than newServer.
func newGenericServer(t *testing.T) testServer {
	t.Helper()
	etcd := testserver.RunEtcd(t, nil)
	scheme := newScheme()
	codecs := serializer.NewCodecFactory(scheme)

	config := genericapiserver.NewConfig(codecs)
	config.ExternalAddress = "127.0.0.1:443"
	config.LoopbackClientConfig = &restclient.Config{}
	config.EffectiveVersion = basecompatibility.NewEffectiveVersionFromString("1.37.2", "", "")
	config.Authorization.Authorizer = authorizerfactory.NewAlwaysAllowAuthorizer()
	namer := openapinamer.NewDefinitionNamer(scheme)
	config.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, namer)
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, namer)
	generic, err := config.Complete(nil).New("core-test", genericapiserver.NewEmptyDelegate())
	if err != nil {
		t.Fatal(err)
	}
	info, err := core.NewAPIGroupInfo(core.Config{
		Scheme:            scheme,
		ParameterCodec:    runtime.NewParameterCodec(scheme),
		Codecs:            codecs,
		RESTOptionsGetter: restOptions(scheme, codecs, etcd.Endpoints()),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := generic.InstallLegacyAPIGroup(genericapiserver.DefaultLegacyAPIPrefix, &info); err != nil {
		t.Fatal(err)
	}
	generic.PrepareRun()
	server := httptest.NewServer(generic.Handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		generic.Destroy()
	})
	client, err := corev1client.NewForConfig(&restclient.Config{Host: server.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return testServer{CoreV1Client: client, url: server.URL, etcd: etcd.Client}
}

func TestServerSideApply(t *testing.T) {
	t.Parallel()
	s := newGenericServer(t)
	apply := func(manager, body string, subresources ...string) (*corev1.Pod, error) {
		return s.Pods("default").Patch(t.Context(), "a", types.ApplyPatchType, []byte(body), metav1.PatchOptions{FieldManager: manager}, subresources...)
	}
	const head = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"default"`
	const spec = `"spec":{"restartPolicy":"Never","containers":[{"name":"main","image":"busybox"}]}`

	// The status in an apply of the Pod, and the spec in one of the status, are dropped and not owned.
	pod, err := apply("user", head+`,"labels":{"by":"user"}},`+spec+`,"status":{"message":"mine"}}`)
	if err != nil || pod.Status.Message != "" || pod.Labels["by"] != "user" {
		t.Fatalf("applied: %+v, %v", pod, err)
	}
	pod, err = apply("kubelet", head+`},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`, "status")
	if err != nil || pod.Status.Phase != corev1.PodRunning || len(pod.Status.Conditions) != 1 {
		t.Fatalf("applied status: %+v, %v", pod, err)
	}
	for _, entry := range pod.ManagedFields {
		var owned map[string]any
		if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned); err != nil {
			t.Fatal(err)
		}
		_, ownsSpec := owned["f:spec"]
		_, ownsStatus := owned["f:status"]
		if ownsSpec != (entry.Manager == "user") || ownsStatus != (entry.Manager == "kubelet") {
			t.Errorf("manager %s of %q owns %v", entry.Manager, entry.Subresource, owned)
		}
	}

	_, err = apply("other", head+`,"labels":{"by":"other"}},`+spec+`}`)
	wantError(t, err, apierrors.IsConflict, `conflict with "user": .metadata.labels.by`)
	// What a manager no longer applies goes.
	pod, err = apply("user", head+`},`+spec+`}`)
	if err != nil || pod.Labels["by"] != "" || pod.Status.Phase != corev1.PodRunning {
		t.Errorf("applied without the label: %+v, %v", pod, err)
	}
}

func TestOpenAPICoversEvictionAndLog(t *testing.T) {
	t.Parallel()
	s := newGenericServer(t)
	response := s.get(t.Context(), t, "/openapi/v3/api/v1", http.Header{"Accept": {"application/json"}})
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", response.StatusCode, err)
	}
	var document struct {
		Paths map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		t.Fatal(err)
	}
	const pod = "/api/v1/namespaces/{namespace}/pods/{name}"
	for _, path := range []string{pod, pod + "/log", pod + "/eviction", pod + "/binding", pod + "/status", "/api/v1/namespaces/{name}/finalize"} {
		if document.Paths[path] == nil {
			t.Errorf("no path %s", path)
		}
	}
}
