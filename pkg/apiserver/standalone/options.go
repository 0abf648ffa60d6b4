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
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/backend"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/controllers"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent"
	"github.com/jobserver-dev/jobserver/pkg/registry/batch/job"
)

const (
	// DefaultPort is the port of Kubernetes API servers.
	DefaultPort = 6443

	// DefaultBindAddress keeps the server to its own machine.
	DefaultBindAddress = "127.0.0.1"
)

// Options say how a standalone server runs.
type Options struct {
	// DataDir is the folder that everything is kept in. Required; made where it is missing.
	DataDir string

	// BindAddress is the IP address to listen on. Empty: DefaultBindAddress.
	BindAddress string

	// Port is the TCP port to listen on. 0: any free one.
	Port int

	// Hosts are further DNS names and IP addresses that clients reach the server by; the serving certificate covers them.
	Hosts []string

	// BatchV1Profile is the profile of Jobs made through batch/v1. Empty: Kubernetes'.
	BatchV1Profile job.Profile

	// Etcd is where everything is stored. Without Servers: embedded in the process, in the data folder.
	Etcd apiserver.Etcd

	// Election says how replicas on one etcd choose the one that runs the controllers. Embedded etcd has one process only, which
	// needs no election.
	Election backend.ElectionOptions

	// Controllers are the controllers to run, in the form of kube-controller-manager's flag: "*" for all, "foo" for one,
	// "-foo" for all but one. Empty: all.
	Controllers []string

	// Job tunes the Job controller, Cleaning the others.
	Job      controllers.JobOptions
	Cleaning controllers.CleaningOptions

	// NodeName is the name of the Node. Empty: the host name.
	NodeName string

	// ContainerLogs bound what is kept of what containers print.
	ContainerLogs nodeagent.LogLimits

	// EndPodsWithProcess has Pods end when this process does, even if it is killed. Without it they go on.
	EndPodsWithProcess bool

	// Supervisor is the executable that is started for each container; it must contain the node agent. Empty: this program.
	Supervisor string
}

// complete fills in defaults and returns an error that names each option that can't be.
func (o Options) complete() (Options, error) {
	var errs []error
	if o.DataDir == "" {
		errs = append(errs, errors.New("the data folder is required"))
	}
	if o.BindAddress == "" {
		o.BindAddress = DefaultBindAddress
	}
	if net.ParseIP(o.BindAddress) == nil {
		errs = append(errs, fmt.Errorf("bind address %q is not an IP address", o.BindAddress))
	}
	if o.BatchV1Profile == "" {
		o.BatchV1Profile = job.ProfileKubernetes
	}
	if len(o.Controllers) == 0 {
		o.Controllers = []string{"*"}
	}
	errs = append(errs, controllers.ValidateSwitches(o.Controllers, controllers.StandaloneNames())...)
	if o.NodeName == "" {
		hostname, err := os.Hostname()
		if err != nil {
			errs = append(errs, fmt.Errorf("find the host name: %w", err))
		}
		// As a kubelet names its node: names of objects are lower case.
		o.NodeName = strings.ToLower(strings.TrimSpace(hostname))
	}
	return o, errors.Join(errs...)
}

// hosts are all the names that the serving certificate covers.
func (o Options) hosts() []string {
	hosts := []string{"localhost", "127.0.0.1", "::1", o.NodeName, "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	if ip := net.ParseIP(o.BindAddress); ip != nil && !ip.IsUnspecified() {
		hosts = append(hosts, ip.String())
	}
	hosts = append(hosts, o.Hosts...)
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// controllerNames are the controllers that are switched on, without the node agent.
func (o Options) controllerNames() []string {
	return slices.DeleteFunc(controllers.StandaloneNames(), func(name string) bool {
		return name == controllers.NodeAgent || !controllers.Enabled(name, o.Controllers)
	})
}
