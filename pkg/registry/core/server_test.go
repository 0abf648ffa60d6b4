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
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericfilters "k8s.io/apiserver/pkg/server/filters"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	restclient "k8s.io/client-go/rest"
	basecompatibility "k8s.io/component-base/compatibility"

	"github.com/jobserver-dev/jobserver/pkg/generated/openapi"
	"github.com/jobserver-dev/jobserver/pkg/registry/core"
)

// testServer serves core/v1 over HTTP from a real etcd, by a generic API server as the product does, without
// authentication and admission.
type testServer struct {
	*corev1client.CoreV1Client
	url  string
	etcd *clientv3.Client
}

// newServer starts a server that ends with the test. Changes to the config are optional.
func newServer(t *testing.T, changes ...func(*core.Config)) testServer {
	t.Helper()
	etcd := testserver.RunEtcd(t, nil)
	scheme := newScheme()
	codecs := serializer.NewCodecFactory(scheme)
	config := core.Config{
		Scheme:            scheme,
		ParameterCodec:    runtime.NewParameterCodec(scheme),
		Codecs:            codecs,
		RESTOptionsGetter: restOptions(scheme, codecs, etcd.Endpoints()),
	}
	for _, change := range changes {
		change(&config)
	}
	info, err := core.NewAPIGroupInfo(config)
	if err != nil {
		t.Fatal(err)
	}
	generic, err := serverConfig(scheme, codecs).Complete(nil).New("core-test", genericapiserver.NewEmptyDelegate())
	if err != nil {
		t.Fatal(err)
	}
	if err := generic.InstallLegacyAPIGroup(genericapiserver.DefaultLegacyAPIPrefix, &info); err != nil {
		t.Fatal(err)
	}
	generic.PrepareRun()
	server := httptest.NewServer(generic.Handler)
	t.Cleanup(func() {
		server.CloseClientConnections() // watches and followed logs of a failed test
		server.Close()
		generic.Destroy()
	})
	client, err := corev1client.NewForConfig(&restclient.Config{Host: server.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return testServer{CoreV1Client: client, url: server.URL, etcd: etcd.Client}
}

// serverConfig returns the config of a generic API server that lets everybody do everything.
func serverConfig(scheme *runtime.Scheme, codecs serializer.CodecFactory) *genericapiserver.Config {
	config := genericapiserver.NewConfig(codecs)
	config.ExternalAddress = "127.0.0.1:443"
	config.LoopbackClientConfig = &restclient.Config{}
	config.EffectiveVersion = basecompatibility.NewEffectiveVersionFromString("1.37.2", "", "")
	config.Authorization.Authorizer = authorizerfactory.NewAlwaysAllowAuthorizer()
	config.LongRunningFunc = genericfilters.BasicLongRunningRequestCheck(sets.NewString("watch"), sets.NewString(core.LongRunningSubresources()...))
	namer := openapinamer.NewDefinitionNamer(scheme)
	config.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, namer)
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, namer)
	return config
}

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	core.Install(scheme)
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	return scheme
}

// optionsGetter keeps each resource below its own prefix, behind a watch cache.
type optionsGetter struct{ storage storagebackend.Config }

func (g optionsGetter) GetRESTOptions(resource schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	return generic.RESTOptions{
		StorageConfig:           g.storage.ForResource(resource),
		Decorator:               genericregistry.StorageWithCacher(),
		EnableGarbageCollection: true,
		DeleteCollectionWorkers: 1,
		ResourcePrefix:          resource.Resource,
		CountMetricPollPeriod:   time.Minute,
	}, nil
}

func restOptions(scheme *runtime.Scheme, codecs serializer.CodecFactory, endpoints []string) generic.RESTOptionsGetter {
	internal := schema.GroupVersion{Version: runtime.APIVersionInternal}
	codec := codecs.CodecForVersions(protobuf.NewSerializer(scheme, scheme), codecs.UniversalDeserializer(), corev1.SchemeGroupVersion, internal)
	config := storagebackend.NewDefaultConfig("/registry", codec)
	config.Transport.ServerList = endpoints
	return optionsGetter{storage: *config}
}

// get returns what a GET of path answers. Options set headers of the request.
func (s testServer) get(ctx context.Context, t *testing.T, path string, headers http.Header) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = headers
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// newPod returns a Pod that the server takes.
func newPod(name string, changes ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "busybox"}}},
	}
	for _, change := range changes {
		change(pod)
	}
	return pod
}

// onNode binds a Pod from its creation on.
func onNode(pod *corev1.Pod) { pod.Spec.NodeName = "node-1" }

// createPod creates a Pod and, where it is not the empty phase, reports its phase as a node would.
func (s testServer) createPod(t *testing.T, pod *corev1.Pod, phase corev1.PodPhase) *corev1.Pod {
	t.Helper()
	created, err := s.Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if phase == "" {
		return created
	}
	created.Status.Phase = phase
	updated, err := s.Pods(pod.Namespace).UpdateStatus(t.Context(), created, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return updated
}

// wantError fails the test unless err is one for which is holds and whose message contains text.
func wantError(t *testing.T, err error, is func(error) bool, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", text)
	}
	if !is(err) || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %q (%T) is of the wrong kind or doesn't contain %q", err, err, text)
	}
}
