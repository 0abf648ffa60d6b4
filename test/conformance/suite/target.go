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

package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Target is the server that is judged, seen through one of the groups that it serves Jobs by.
type Target struct {
	// Jobs is the group, version and resource of Jobs.
	Jobs schema.GroupVersionResource
	// Version is the server's version, as kubectl version shows it.
	Version string

	// controllers is the address under which the controllers have their metrics.
	controllers       string
	controllersClient *http.Client

	config     *rest.Config
	client     *http.Client
	features   sets.Set[Feature]
	accounts   bool
	kubernetes bool
}

// Connect finds out what the server that config leads to is and has; the features that it is said to lack, it has not. It fails where it
// doesn't serve Jobs through the group.
func Connect(ctx context.Context, config *rest.Config, groupVersion schema.GroupVersion, lacks ...Feature) (*Target, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.UserAgent = "jobserver-conformance"
	config.Timeout = 0
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("read the address of the server: %w", err)
	}
	config.Host = strings.TrimSuffix(server.String(), "/")
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the server: %w", err)
	}
	kube, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("make a client of the server: %w", err)
	}
	version, err := kube.Discovery().ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("ask the server for its version: %w", err)
	}
	target := &Target{
		Jobs: groupVersion.WithResource("jobs"), Version: version.GitVersion,
		controllers: config.Host, controllersClient: client, config: config, client: client, features: sets.New[Feature](),
	}
	if !served(kube.Discovery(), groupVersion, "jobs") {
		return nil, fmt.Errorf("the server doesn't serve jobs in %s", groupVersion)
	}
	err = target.probe(ctx, kube)
	target.features.Delete(lacks...)
	return target, err
}

// probe fills in the features.
func (t *Target) probe(ctx context.Context, kube kubernetes.Interface) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	core := corev1.SchemeGroupVersion
	set := func(feature Feature, has bool) {
		if has {
			t.features.Insert(feature)
		}
	}
	api := kube.Discovery()
	set(FeatureBothGroups, served(api, schema.GroupVersion{Group: GroupKubernetes, Version: "v1"}, "jobs") &&
		served(api, schema.GroupVersion{Group: GroupJobserver, Version: "v1"}, "jobs"))
	set(FeatureEviction, served(api, core, "pods/eviction"))
	set(FeatureQuota, served(api, core, "resourcequotas"))
	// All servers of Jobs are taken to have these, unless who judges one says that it lacks them: a test of propagation fails where the garbage
	// collector is switched off.
	for _, feature := range []Feature{FeatureGarbageCollector, FeatureProtobuf, FeatureAnyPod, FeatureUnmarkedPods} {
		set(feature, true)
	}
	// A standalone jobserver has Jobs and what they need; a cluster has Deployments too, and may have the Jobs of another server.
	t.kubernetes = served(api, appsv1.SchemeGroupVersion, "deployments") && !delegated(ctx, api, t.Jobs.GroupVersion())
	t.accounts = served(api, core, "serviceaccounts")
	nodes, err := kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list the nodes of the server: %w", err)
	}
	_, err = t.metrics(ctx)
	set(FeatureMetrics, err == nil)
	set(FeatureReadyNode, slices.ContainsFunc(nodes.Items, isReadyNode))
	return nil
}

func isReadyNode(node corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// served tells whether discovery shows a resource. A group that is not there is the ordinary reason why it doesn't.
func served(api discovery.DiscoveryInterface, groupVersion schema.GroupVersion, resource string) bool {
	list, err := api.ServerResourcesForGroupVersion(groupVersion.String())
	return err == nil && slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == resource })
}

// delegated tells whether a cluster has a group and version served by another server, to which a Service leads.
func delegated(ctx context.Context, api discovery.DiscoveryInterface, groupVersion schema.GroupVersion) bool {
	var registration struct {
		Spec struct {
			Service *struct{} `json:"service"`
		} `json:"spec"`
	}
	path := "/apis/apiregistration.k8s.io/v1/apiservices/" + groupVersion.Version + "." + groupVersion.Group
	answer, err := api.RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json").DoRaw(ctx)
	return err == nil && json.Unmarshal(answer, &registration) == nil && registration.Spec.Service != nil
}

// Group is the group that the server is judged by.
func (t *Target) Group() string { return t.Jobs.Group }

// isKubernetes tells whether it is Kubernetes' own Jobs that are judged, whose known defects are not held against it.
func (t *Target) isKubernetes() bool { return t.kubernetes && t.Group() == GroupKubernetes }

// Has tells whether the server has a feature.
func (t *Target) Has(feature Feature) bool { return t.features.Has(feature) }

// lacks returns the first of some features that the server lacks, or nothing.
func (t *Target) lacks(features []Feature) Feature {
	for _, feature := range features {
		if !t.Has(feature) {
			return feature
		}
	}
	return ""
}

// Features are the features that the server has, in order.
func (t *Target) Features() []Feature { return sets.List(t.features) }
