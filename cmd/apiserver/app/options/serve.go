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

// Package options holds the flags of the commands.
package options

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/jobserver-dev/jobserver/pkg/apiserver/controllers"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/standalone"
	"github.com/jobserver-dev/jobserver/pkg/registry/batch/job"
)

// Serve are the flags of a server.
type Serve struct {
	Standalone     bool
	DataDir        string
	BindAddress    string
	SecurePort     int
	TLSSANs        []string
	NodeName       string
	BatchV1Profile string
	Controllers    []string

	Etcd *Etcd

	Tunables *Tunables

	Logs *logs.Options
}

// NewServe returns the defaults.
func NewServe() *Serve {
	return &Serve{
		BindAddress:    standalone.DefaultBindAddress,
		SecurePort:     standalone.DefaultPort,
		BatchV1Profile: string(job.ProfileKubernetes),
		Controllers:    []string{"*"},
		Etcd:           NewEtcd(),
		Tunables:       NewTunables(),
		Logs:           logs.NewOptions(),
	}
}

// AddFlags adds all flags to flags.
func (s *Serve) AddFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&s.Standalone, "standalone", s.Standalone, "Serve without a cluster: Pods run as processes of this machine.")
	flags.StringVar(&s.DataDir, "data-dir", s.DataDir, "Folder that everything of this machine is kept in: certificates, the administrator's kubeconfig, Pods' files and logs, and the data of the embedded etcd. Made where it is missing. Required with --standalone.")
	flags.StringVar(&s.BindAddress, "bind-address", s.BindAddress, "IP address to listen on.")
	flags.IntVar(&s.SecurePort, "secure-port", s.SecurePort, "TCP port to serve HTTPS on. 0 takes any free port.")
	flags.StringSliceVar(&s.TLSSANs, "tls-san", s.TLSSANs, "Further DNS names and IP addresses that the serving certificate covers.")
	flags.StringVar(&s.NodeName, "node-name", s.NodeName, "Name of the Node that Pods run on. Default: the host name.")
	s.Etcd.AddFlags(flags)
	s.addJobFlags(flags)
	logsapi.AddFlags(s.Logs, flags)
}

// addJobFlags adds the flags that say how Jobs behave.
func (s *Serve) addJobFlags(flags *pflag.FlagSet) {
	flags.StringVar(&s.BatchV1Profile, "batch-v1-profile", s.BatchV1Profile, "How Jobs made through batch/v1 behave where Kubernetes and the guide differ: kubernetes or guide.")
	flags.StringSliceVar(&s.Controllers, "controllers", s.Controllers, fmt.Sprintf("Controllers to run: '*' for all, 'foo' for the one named foo, '-foo' for all but it. All: %s.", strings.Join(controllers.StandaloneNames(), ", ")))
	s.Tunables.AddFlags(flags)
}

// Validate returns an error that names every flag with a bad value.
func (s *Serve) Validate() error {
	var errs []error
	if !s.Standalone {
		errs = append(errs, errors.New("--standalone: is required; this version does not serve beside a cluster yet"))
	}
	if s.DataDir == "" {
		errs = append(errs, errors.New("--data-dir: is required"))
	}
	if net.ParseIP(s.BindAddress) == nil {
		errs = append(errs, fmt.Errorf("--bind-address: %q is not an IP address", s.BindAddress))
	}
	if s.SecurePort < 0 || s.SecurePort > 65535 {
		errs = append(errs, fmt.Errorf("--secure-port: %d is not between 0 and 65535", s.SecurePort))
	}
	for _, san := range s.TLSSANs {
		if net.ParseIP(san) == nil && len(validation.IsDNS1123Subdomain(san)) > 0 && len(validation.IsWildcardDNS1123Subdomain(san)) > 0 {
			errs = append(errs, fmt.Errorf("--tls-san: %q is neither an IP address nor a DNS name", san))
		}
	}
	if s.NodeName != "" {
		for _, message := range validation.IsDNS1123Subdomain(s.NodeName) {
			errs = append(errs, fmt.Errorf("--node-name: %q: %s", s.NodeName, message))
		}
	}
	errs = append(errs, s.Etcd.Validate()...)
	return utilerrors.NewAggregate(append(errs, s.validateJobs()...))
}

func (s *Serve) validateJobs() []error {
	var errs []error
	if _, err := job.ParseProfile(s.BatchV1Profile); err != nil {
		errs = append(errs, fmt.Errorf("--batch-v1-profile: %w", err))
	}
	for _, err := range controllers.ValidateSwitches(s.Controllers, controllers.StandaloneNames()) {
		errs = append(errs, fmt.Errorf("--controllers: %w", err))
	}
	return append(errs, s.Tunables.Validate()...)
}

// Config returns the configuration of a standalone server. The flags must be valid.
func (s *Serve) Config() (standalone.Options, error) {
	dataDir, err := filepath.Abs(s.DataDir)
	if err != nil {
		return standalone.Options{}, fmt.Errorf("--data-dir: %w", err)
	}
	return standalone.Options{
		DataDir:        dataDir,
		BindAddress:    s.BindAddress,
		Port:           s.SecurePort,
		Hosts:          s.TLSSANs,
		BatchV1Profile: job.Profile(s.BatchV1Profile),
		Etcd:           s.Etcd.Store,
		Election:       s.Etcd.Election(),
		Controllers:    s.Controllers,
		NodeName:       s.NodeName,
		Job:            s.Tunables.job(),
		Cleaning:       s.Tunables.cleaning(),
	}, nil
}
