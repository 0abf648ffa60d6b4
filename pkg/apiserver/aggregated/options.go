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
	"os"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	genericoptions "k8s.io/apiserver/pkg/server/options"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch/kubev1"
	ourv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/aggregated/registration"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/backend"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/controllers"
	"github.com/jobserver-dev/jobserver/pkg/registry/batch/job"
)

const (
	// DefaultNamespace and DefaultServiceName are where the cluster's API server finds us, unless told otherwise.
	DefaultNamespace   = "jobserver-system"
	DefaultServiceName = "jobserver"
	// DefaultServicePort is the port of that Service.
	DefaultServicePort = 443

	// ourPriority is below batch's: "kubectl get jobs" keeps its meaning for the whole cluster.
	ourPriority = 1000
	// kubePriority is that with which Kubernetes registers batch itself.
	kubePriority = 17400

	// namespaceFile says in which namespace the process runs, if it does so in a cluster.
	namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
)

// Options say how a server beside a cluster runs. The generic ones are those of k8s.io/apiserver.
type Options struct {
	// Kubeconfig is the path to the cluster. Empty: the cluster that the process runs in.
	Kubeconfig string
	// HostQPS and HostBurst limit requests to the cluster, for each part of the server that makes some. Negative: no limit. Zero: client-go's.
	HostQPS   float32
	HostBurst int

	// DataDir is the folder of the embedded etcd. Required without Etcd.Servers.
	DataDir string
	// Etcd is where everything is stored. Without Servers: embedded in the process, in the data folder.
	Etcd apiserver.Etcd
	// Election says how replicas on one etcd choose the one that runs the controllers.
	Election backend.ElectionOptions

	// Service is what the cluster's API server is told to call. Zero fields get the defaults; the namespace is that of the process
	// where it runs in a cluster.
	Service registration.Service
	// NoRegistration leaves the APIServices to somebody else.
	NoRegistration bool
	// AuthorityValidity and ServingValidity are how long certificates are good that the server makes. Zero: see package certificates.
	AuthorityValidity, ServingValidity time.Duration

	// BatchV1Profile is the profile of Jobs made through batch/v1. Empty: batch/v1 is not served.
	BatchV1Profile job.Profile
	// Controllers are the controllers to run, in the form of kube-controller-manager's flag. Empty: all.
	Controllers []string
	// Job tunes the Job controller, Cleaning the others.
	Job      controllers.JobOptions
	Cleaning controllers.CleaningOptions

	// BindAddress is the IP address to listen on, and Port the TCP port. 0: any free one.
	BindAddress string
	Port        int

	// Serving has the terms of TLS and, in place of certificates that the server makes, the files of one.
	Serving        *genericoptions.SecureServingOptionsWithLoopback
	Authentication *genericoptions.DelegatingAuthenticationOptions
	Authorization  *genericoptions.DelegatingAuthorizationOptions
	Audit          *genericoptions.AuditOptions
	Features       *genericoptions.FeatureOptions
	Admission      *genericoptions.AdmissionOptions
}

// NewOptions returns the defaults.
func NewOptions() Options {
	serving := genericoptions.NewSecureServingOptions()
	// The client is the cluster's API server, which sends the requests of all users over one connection.
	serving.HTTP2MaxStreamsPerConnection = 1000
	serving.ServerCert.CertDirectory, serving.ServerCert.PairName = "", ""
	return Options{
		Service:        registration.Service{Name: DefaultServiceName, Port: DefaultServicePort},
		Controllers:    []string{"*"},
		Serving:        serving.WithLoopback(),
		Authentication: genericoptions.NewDelegatingAuthenticationOptions(),
		Authorization:  genericoptions.NewDelegatingAuthorizationOptions(),
		Audit:          genericoptions.NewAuditOptions(),
		Features:       genericoptions.NewFeatureOptions(),
		Admission:      newAdmission(),
	}
}

// complete fills in what follows from the rest, and returns an error that names each option that can't be.
func (o Options) complete() (Options, error) {
	var errs []error
	if len(o.Etcd.Servers) == 0 && o.DataDir == "" {
		errs = append(errs, errors.New("a data folder is required without etcd servers"))
	}
	errs = append(errs, controllers.ValidateSwitches(o.Controllers, controllers.AggregatedNames())...)
	if o.Service.Namespace == "" {
		o.Service.Namespace = ownNamespace()
	}
	// The cluster that is asked who somebody is and what he may do is the one that we belong to, unless told otherwise.
	for _, path := range []*string{&o.Authentication.RemoteKubeConfigFile, &o.Authorization.RemoteKubeConfigFile} {
		if *path == "" {
			*path = o.Kubeconfig
		}
	}
	return o, errors.Join(errs...)
}

// ownNamespace is the namespace that the process runs in, or the default.
func ownNamespace() string {
	if content, err := os.ReadFile(namespaceFile); err == nil && len(content) > 0 {
		return strings.TrimSpace(string(content))
	}
	return DefaultNamespace
}

// hosts are the names that the serving certificate covers: those of the Service, and the loopback for who looks at it from inside. All replicas have
// the same: they share the certificate.
func (o Options) hosts() []string {
	service := o.Service.Name + "." + o.Service.Namespace
	return []string{service + ".svc", service, service + ".svc.cluster.local", "localhost", "127.0.0.1", "::1"}
}

// ownCertificates tells whether the server makes its certificates itself.
func (o Options) ownCertificates() bool {
	return o.Serving.ServerCert.CertKey.CertFile == "" && o.Serving.ServerCert.CertKey.KeyFile == ""
}

// groups are what is registered.
func (o Options) groups() []registration.Group {
	groups := []registration.Group{{GroupVersion: ourv1.SchemeGroupVersion, Priority: ourPriority}}
	if o.BatchV1Profile != "" {
		groups = append(groups, registration.Group{GroupVersion: kubev1.SchemeGroupVersion, Priority: kubePriority})
	}
	return groups
}

// resources are the names that our Jobs have, one in each group that is served.
func (o Options) resources() []schema.GroupVersionResource {
	var resources []schema.GroupVersionResource
	for _, group := range o.groups() {
		resources = append(resources, group.WithResource("jobs"))
	}
	return resources
}

// controllerNames are the controllers that are switched on.
func (o Options) controllerNames() []string {
	return slices.DeleteFunc(controllers.AggregatedNames(), func(name string) bool { return !controllers.Enabled(name, o.Controllers) })
}

// replicaName is a name for people who look which replica leads: in a cluster that of the Pod.
func replicaName() (string, error) {
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("find the host name: %w", err)
	}
	return name, nil
}
