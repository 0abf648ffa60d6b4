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

// Package apiserver assembles the API server from its parts: scheme, storage, groups and the handlers of k8s.io/apiserver.
// It decides nothing about Jobs.
package apiserver

import (
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/util/sets"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericfilters "k8s.io/apiserver/pkg/server/filters"
	"k8s.io/apiserver/pkg/util/compatibility"
	restclient "k8s.io/client-go/rest"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch/kubev1"
	ourv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/inprocess"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/quantities"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/utf8only"
	"github.com/jobserver-dev/jobserver/pkg/registry/batch/job"
	jobstorage "github.com/jobserver-dev/jobserver/pkg/registry/batch/job/storage"
	"github.com/jobserver-dev/jobserver/pkg/registry/coordination"
	"github.com/jobserver-dev/jobserver/pkg/registry/core"
	"github.com/jobserver-dev/jobserver/pkg/registry/reviews"
)

// ExtraConfig is what this server adds to a generic API server.
type ExtraConfig struct {
	// BatchV1Profile is the profile of Jobs made through batch/v1. Nil: batch/v1 is not served.
	BatchV1Profile *job.Profile

	// Core is set to serve core/v1, leases, and answers to callers who ask about themselves, too. Nil: a cluster does.
	Core *CoreConfig
}

// CoreConfig configures core/v1.
type CoreConfig struct {
	// Logs answers requests for Pod logs.
	Logs core.LogSource
	// Kubelets are how nodes are reached.
	Kubelets *core.Kubelets
}

// Config is the configuration of a server, complete or not. Make one with NewConfig.
type Config struct {
	Generic *genericapiserver.RecommendedConfig
	Extra   ExtraConfig

	// transport leads this process' own clients to the server.
	transport *inprocess.Transport
}

// NewConfig returns a Config with the defaults of k8s.io/apiserver and our API description. The caller adds serving, authentication,
// authorization, storage and admission.
func NewConfig() *Config {
	generic := genericapiserver.NewRecommendedConfig(Codecs)
	generic.EffectiveVersion = compatibility.DefaultBuildEffectiveVersion()
	// What streams for as long as the client likes is not cut off by the request timeout.
	generic.LongRunningFunc = genericfilters.BasicLongRunningRequestCheck(
		sets.NewString("watch"), sets.NewString(core.LongRunningSubresources()...))
	withOpenAPI(&generic.Config)
	generic.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
		api = utf8only.Filter(quantities.Filter(api, Scheme, Codecs, c.MaxRequestBodyBytes))
		return buildHandlerChain(notFoundIfSilent(api), c)
	}
	return &Config{Generic: generic, transport: inprocess.New()}
}

// completedConfig is private, so that only Complete makes one.
type completedConfig struct {
	generic   genericapiserver.CompletedConfig
	extra     *ExtraConfig
	transport *inprocess.Transport
}

// CompletedConfig is a Config that a server can be made from.
type CompletedConfig struct {
	*completedConfig
}

// Complete fills in what follows from the rest.
func (c *Config) Complete() CompletedConfig {
	return CompletedConfig{&completedConfig{generic: c.Generic.Complete(), extra: &c.Extra, transport: c.transport}}
}

// New makes the server and installs its groups. It listens to nobody before PrepareRun and RunWithContext; the clients of Config.LoopbackClient reach it from here on,
// until it has ended.
func (c completedConfig) New() (*genericapiserver.GenericAPIServer, error) {
	server, err := c.generic.New("jobserver", genericapiserver.NewEmptyDelegate())
	if err != nil {
		return nil, fmt.Errorf("make API server: %w", err)
	}
	server.RegisterDestroyFunc(c.transport.Close) // before the storage is closed
	installAbsent(server)
	if c.extra.Core != nil {
		if err := c.installCore(server); err != nil {
			return nil, err
		}
		installNoCustomResources(server)
	}
	if err := c.installJobs(server); err != nil {
		return nil, err
	}
	c.transport.Serve(server.Handler)
	return server, nil
}

func (c completedConfig) installCore(server *genericapiserver.GenericAPIServer) error {
	info, err := core.NewAPIGroupInfo(core.Config{
		Scheme:            Scheme,
		ParameterCodec:    ParameterCodec,
		Codecs:            Codecs,
		RESTOptionsGetter: c.generic.RESTOptionsGetter,
		PodLogs:           c.extra.Core.Logs,
		Kubelets:          c.extra.Core.Kubelets,
	})
	if err != nil {
		return err
	}
	guard(&info)
	if err := server.InstallLegacyAPIGroup(genericapiserver.DefaultLegacyAPIPrefix, &info); err != nil {
		return fmt.Errorf("install core/v1: %w", err)
	}
	leases, err := coordination.NewAPIGroupInfo(Scheme, ParameterCodec, Codecs, c.generic.RESTOptionsGetter)
	if err != nil {
		return err
	}
	guard(leases)
	if err := server.InstallAPIGroups(leases); err != nil {
		return fmt.Errorf("install leases: %w", err)
	}
	if err := server.InstallAPIGroups(reviews.NewAPIGroupInfos(Scheme, ParameterCodec, Codecs, c.generic.Authorization.Authorizer)...); err != nil {
		return fmt.Errorf("install reviews: %w", err)
	}
	return nil
}

// installJobs installs both groups in one call: with a call each they would have type converters of their own, and field managers
// and conflicts of the other group would be lost.
func (c completedConfig) installJobs(server *genericapiserver.GenericAPIServer) error {
	jobs, err := jobstorage.NewJobs(c.generic.RESTOptionsGetter)
	if err != nil {
		return fmt.Errorf("open Job storage: %w", err)
	}
	// The category "all" belongs to one group only, or kubectl get all lists every Job twice.
	ourNames, all := jobstorage.Names{ShortNames: []string{"bj"}}, []string{"all"}
	if c.extra.BatchV1Profile == nil {
		ourNames.Categories = all
	}
	ours := genericapiserver.NewDefaultAPIGroupInfo(ourv1.GroupName, Scheme, ParameterCodec, Codecs)
	ours.VersionedResourcesStorageMap[ourv1.SchemeGroupVersion.Version] = jobs.Serve(job.OurGroup(), ourNames, true)
	groups := []*genericapiserver.APIGroupInfo{&ours}

	if profile := c.extra.BatchV1Profile; profile != nil {
		kube := genericapiserver.NewDefaultAPIGroupInfo(kubev1.GroupName, Scheme, ParameterCodec, Codecs)
		kube.VersionedResourcesStorageMap[kubev1.SchemeGroupVersion.Version] =
			jobs.Serve(job.KubeGroup(*profile), jobstorage.Names{Categories: all}, false)
		groups = append(groups, &kube)
	}
	guard(groups...)
	if err := server.InstallAPIGroups(groups...); err != nil {
		return fmt.Errorf("install Job groups: %w", err)
	}
	return nil
}

// guard makes groups refuse quantities that would keep the server busy for minutes, and text that is not UTF-8.
func guard(groups ...*genericapiserver.APIGroupInfo) {
	for _, group := range groups {
		group.NegotiatedSerializer = utf8only.Serializer(quantities.Serializer(group.NegotiatedSerializer, group.Scheme))
	}
}

// LoopbackClient returns the client configuration of our own controllers: without a connection, in protobuf, and with no rate limit against ourselves. The server
// knows them by the way that they come. Generic.LoopbackClientConfig must be set by now. Every part of the process gets its client from here, so that the way it reaches
// the API can change in one place.
func (c *Config) LoopbackClient(userAgent string) *restclient.Config {
	config := restclient.CopyConfig(c.Generic.LoopbackClientConfig)
	config.Transport = c.transport
	config.TLSClientConfig = restclient.TLSClientConfig{} // there is nothing to encrypt
	config.UserAgent = userAgent
	config.QPS = -1
	// Within one process it costs work and memory at both ends and saves nothing.
	config.DisableCompression = true
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return config
}
