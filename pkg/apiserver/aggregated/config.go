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

package aggregated

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"k8s.io/apiserver/pkg/admission"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/aggregated/farewell"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/aggregated/outage"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/aggregated/quota"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/backend"
)

// newAdmission returns the plugins that apply in every server of k8s.io/apiserver (namespaces, webhooks, policies: their objects are the
// cluster's), and our quota behind them.
func newAdmission() *genericoptions.AdmissionOptions {
	options := genericoptions.NewAdmissionOptions()
	quota.Register(options.Plugins)
	// As in a cluster, the last: what another plugin refuses is not charged.
	options.RecommendedPluginOrder = append(options.RecommendedPluginOrder, quota.PluginName)
	return options
}

// newConfig puts the API server's configuration together. The certificate is served where the options name no files of one.
func newConfig(options Options, cluster *host, store *backend.Backend, monitor *outage.Monitor, clients *farewell.Farewell) (*apiserver.Config, error) {
	config := apiserver.NewConfig()
	buildHandlers := config.Generic.BuildHandlerChainFunc
	config.Generic.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
		return clients.Filter(monitor.Filter(buildHandlers(api, c)))
	}
	generic := &config.Generic.Config
	if err := apiserver.WithEtcd(generic, store.Store); err != nil {
		return nil, err
	}
	// An etcd that is away comes back or doesn't, and a new start of this process helps neither way.
	generic.LivezChecks = without(generic.LivezChecks, "etcd")

	if err := errors.Join(
		options.Serving.ApplyToConfig(generic),
		options.Authentication.ApplyTo(&generic.Authentication, generic.SecureServing, generic.OpenAPIConfig),
		options.Authorization.ApplyTo(&generic.Authorization),
		options.Audit.ApplyTo(generic),
	); err != nil {
		return nil, err
	}
	if err := admit(config.Generic, options, cluster, store); err != nil {
		return nil, err
	}
	if options.BatchV1Profile != "" {
		config.Extra.BatchV1Profile = &options.BatchV1Profile
	}
	return config, nil
}

func without(checks []healthz.HealthChecker, name string) []healthz.HealthChecker {
	return slices.DeleteFunc(slices.Clone(checks), func(check healthz.HealthChecker) bool { return check.Name() == name })
}

// admit makes the cluster's namespaces, webhooks, policies and quotas apply, and its priorities of requests.
func admit(config *genericapiserver.RecommendedConfig, options Options, cluster *host, store *backend.Backend) error {
	hostClient, err := kubernetes.NewForConfig(cluster.client("apiserver"))
	if err != nil {
		return err
	}
	dynamicHostClient, err := dynamic.NewForConfig(cluster.jsonClient("apiserver"))
	if err != nil {
		return err
	}
	config.ClientConfig = cluster.client("apiserver")
	config.SharedInformerFactory = informers.NewSharedInformerFactory(hostClient, 0)
	if err := options.Features.ApplyTo(&config.Config, hostClient, config.SharedInformerFactory); err != nil {
		return fmt.Errorf("configure request priorities: %w", err)
	}
	charged := admission.PluginInitializers{quota.NewInitializer(quota.Config{Resources: options.resources(), CountStored: store.CountJobs})}
	err = options.Admission.ApplyTo(&config.Config, config.SharedInformerFactory, hostClient, dynamicHostClient,
		utilfeature.DefaultFeatureGate, config.EffectiveVersion, charged...)
	if err != nil {
		return fmt.Errorf("configure admission: %w", err)
	}
	return nil
}
