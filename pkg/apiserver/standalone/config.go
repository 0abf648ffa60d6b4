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

package standalone

import (
	"fmt"
	"net"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"
	admissionmetrics "k8s.io/apiserver/pkg/admission/metrics"
	"k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle"
	apiserverapi "k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/authorization/path"
	"k8s.io/apiserver/pkg/authorization/union"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	restclient "k8s.io/client-go/rest"

	"github.com/jobserver-dev/jobserver/pkg/pki"
)

// healthPaths are open to everybody: what watches over the server needs no certificate.
var healthPaths = []string{"/healthz", "/healthz/*", "/livez", "/livez/*", "/readyz", "/readyz/*"}

// serve makes the server listen with its own certificate, and gives its own controllers a client that is known by a token of this process.
func serve(config *genericapiserver.Config, listener net.Listener, bundle *pki.Bundle) error {
	serving, err := dynamiccertificates.NewStaticCertKeyContent("serving", bundle.Serving.Cert, bundle.Serving.Key)
	if err != nil {
		return fmt.Errorf("load serving certificate: %w", err)
	}
	authority, err := dynamiccertificates.NewStaticCAContent("client-ca", bundle.CA)
	if err != nil {
		return fmt.Errorf("load certificate authority: %w", err)
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("listening on %s: not a TCP address", listener.Addr())
	}
	config.SecureServing = &genericapiserver.SecureServingInfo{Listener: listener, Cert: serving, ClientCA: authority}
	config.PublicAddress = clientIP(address.IP)
	config.LoopbackClientConfig = &restclient.Config{
		Host:            serverURL(address),
		BearerToken:     uuid.NewString(),
		TLSClientConfig: restclient.TLSClientConfig{CAData: bundle.CA},
	}
	return nil
}

// clientIP is where a client on this machine reaches a server that listens on ip.
func clientIP(ip net.IP) net.IP {
	switch {
	case !ip.IsUnspecified():
		return ip
	case ip.To4() == nil:
		return net.IPv6loopback
	default:
		return net.IPv4(127, 0, 0, 1)
	}
}

func serverURL(address *net.TCPAddr) string {
	return "https://" + net.JoinHostPort(clientIP(address.IP).String(), fmt.Sprint(address.Port))
}

// authenticate knows a caller by a client certificate of our authority. All others are anonymous.
func authenticate(config *genericapiserver.Config) error {
	authenticator, _, err := authenticatorfactory.DelegatingAuthenticatorConfig{
		Anonymous:                          &apiserverapi.AnonymousAuthConfig{Enabled: true},
		ClientCertificateCAContentProvider: config.SecureServing.ClientCA,
	}.New()
	if err != nil {
		return fmt.Errorf("make authenticator: %w", err)
	}
	config.Authentication.Authenticator = authenticator
	return nil
}

// authorize allows administrators everything, others the health endpoints. There are no roles on one machine: who holds the
// administrator's key is its owner.
func authorize(config *genericapiserver.Config) error {
	health, err := path.NewAuthorizer(healthPaths)
	if err != nil {
		return fmt.Errorf("make authorizer: %w", err)
	}
	config.Authorization.Authorizer, err = union.New(
		union.NamedAuthorizer{AuthorizerName: "privileged-groups", Authorizer: authorizerfactory.NewPrivilegedGroups(user.SystemPrivilegedGroup)},
		union.NamedAuthorizer{AuthorizerName: "health", Authorizer: health},
	)
	if err != nil {
		return fmt.Errorf("make authorizer: %w", err)
	}
	return nil
}

// admit refuses objects in namespaces that don't exist or are being deleted, and keeps the system namespaces.
func admit(config *genericapiserver.RecommendedConfig, client kubernetes.Interface, factory informers.SharedInformerFactory) error {
	plugin, err := lifecycle.NewLifecycle(sets.New(systemNamespaces...))
	if err != nil {
		return fmt.Errorf("make admission plugin %s: %w", lifecycle.PluginName, err)
	}
	plugin.SetExternalKubeClientSet(client)
	plugin.SetExternalKubeInformerFactory(factory)
	if err := plugin.ValidateInitialization(); err != nil {
		return fmt.Errorf("make admission plugin %s: %w", lifecycle.PluginName, err)
	}
	config.SharedInformerFactory = factory
	config.AdmissionControl = admissionmetrics.WithStepMetrics(admission.NewChainHandler(plugin))
	return nil
}
