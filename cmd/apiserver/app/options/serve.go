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
	"cmp"
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

	"github.com/jobserver-dev/jobserver/pkg/apiserver/aggregated"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/controllers"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/standalone"
	"github.com/jobserver-dev/jobserver/pkg/registry/batch/job"
)

// defaultBindAddress is every address of the machine: a cluster's API server comes from elsewhere, and who comes is checked.
const defaultBindAddress = "0.0.0.0"

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
	StopPodsOnExit bool

	Etcd       *Etcd
	Aggregated *Aggregated

	Tunables *Tunables

	ContainerLogs *ContainerLogs

	Logs *logs.Options

	// flags are those that were added, to tell which were given. Nil: none.
	flags *pflag.FlagSet
}

// NewServe returns the defaults.
func NewServe() *Serve {
	return &Serve{
		SecurePort:     standalone.DefaultPort,
		BatchV1Profile: string(job.ProfileKubernetes),
		Controllers:    []string{"*"},
		Etcd:           NewEtcd(),
		Aggregated:     NewAggregated(),
		Tunables:       NewTunables(),
		ContainerLogs:  NewContainerLogs(),
		Logs:           logs.NewOptions(),
	}
}

// AddFlags adds all flags to flags.
func (s *Serve) AddFlags(flags *pflag.FlagSet) {
	s.flags = flags
	flags.BoolVar(&s.Standalone, "standalone", s.Standalone, "Serve without a cluster: Pods run as processes of this machine.")
	flags.StringVar(&s.DataDir, "data-dir", s.DataDir, "Folder for the data of the embedded etcd, with --standalone for everything of this machine: certificates, the administrator's kubeconfig, Pods' files and logs. Made where it is missing. Required with --standalone, and without --etcd-servers.")
	flags.StringVar(&s.BindAddress, "bind-address", s.BindAddress, "IP address to listen on. Default: "+defaultBindAddress+", with --standalone "+standalone.DefaultBindAddress+".")
	flags.IntVar(&s.SecurePort, "secure-port", s.SecurePort, "TCP port to serve HTTPS on. 0 takes any free port.")
	s.addStandaloneFlags(flags)
	s.Aggregated.AddFlags(flags)
	s.Etcd.AddFlags(flags)
	s.addJobFlags(flags)
	logsapi.AddFlags(s.Logs, flags)
}

// addStandaloneFlags adds the flags that only --standalone has.
func (s *Serve) addStandaloneFlags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&s.TLSSANs, "tls-san", s.TLSSANs, "With --standalone: further DNS names and IP addresses that the serving certificate covers.")
	addStopPodsOnExit(flags, &s.StopPodsOnExit)
	s.ContainerLogs.AddFlags(flags)
	flags.StringVar(&s.NodeName, "node-name", s.NodeName, "With --standalone: name of the Node that Pods run on. Default: the host name.")
}

// addJobFlags adds the flags that say how Jobs behave.
func (s *Serve) addJobFlags(flags *pflag.FlagSet) {
	flags.StringVar(&s.BatchV1Profile, "batch-v1-profile", s.BatchV1Profile, "How Jobs made through batch/v1 behave where Kubernetes and the guide differ: kubernetes or guide.")
	flags.StringSliceVar(&s.Controllers, "controllers", s.Controllers, fmt.Sprintf("Controllers to run: '*' for all, 'foo' for the one named foo, '-foo' for all but it. All: %s.", allControllers()))
	s.Tunables.AddFlags(flags)
}

// allControllers describes the controllers of both modes.
func allControllers() string {
	return fmt.Sprintf("%s; with --standalone %s", strings.Join(controllers.AggregatedNames(), ", "), strings.Join(controllers.StandaloneNames(), ", "))
}

// Validate returns an error that names every flag with a bad value.
func (s *Serve) Validate() error {
	var errs []error
	if s.DataDir == "" && (s.Standalone || len(s.Etcd.Store.Servers) == 0) {
		errs = append(errs, errors.New("--data-dir: is required with --standalone, and without --etcd-servers"))
	}
	if s.BindAddress != "" && net.ParseIP(s.BindAddress) == nil {
		errs = append(errs, fmt.Errorf("--bind-address: %q is not an IP address", s.BindAddress))
	}
	if s.SecurePort < 0 || s.SecurePort > 65535 {
		errs = append(errs, fmt.Errorf("--secure-port: %d is not between 0 and 65535", s.SecurePort))
	}
	if s.Standalone {
		errs = append(errs, s.validateStandalone()...)
		errs = append(errs, s.foreign("has no use with --standalone", NewAggregated().AddFlags)...)
	} else {
		errs = append(errs, s.Aggregated.Validate()...)
		errs = append(errs, s.foreign("has no use without --standalone", NewServe().addStandaloneFlags)...)
	}
	errs = append(errs, s.Etcd.Validate()...)
	return utilerrors.NewAggregate(append(errs, s.validateJobs()...))
}

// foreign returns an error for each flag that was given and belongs to the other mode, whose flags add adds.
func (s *Serve) foreign(why string, add func(*pflag.FlagSet)) []error {
	if s.flags == nil {
		return nil
	}
	other := pflag.NewFlagSet("", pflag.ContinueOnError)
	add(other)
	var errs []error
	other.VisitAll(func(flag *pflag.Flag) {
		if s.flags.Changed(flag.Name) {
			errs = append(errs, fmt.Errorf("--%s: %s", flag.Name, why))
		}
	})
	return errs
}

func (s *Serve) validateStandalone() []error {
	var errs []error
	for _, san := range s.TLSSANs {
		if net.ParseIP(san) == nil && len(validation.IsDNS1123Subdomain(san)) > 0 && len(validation.IsWildcardDNS1123Subdomain(san)) > 0 {
			errs = append(errs, fmt.Errorf("--tls-san: %q is neither an IP address nor a DNS name", san))
		}
	}
	if s.NodeName != "" {
		errs = append(errs, messages("node-name", s.NodeName, validation.IsDNS1123Subdomain(s.NodeName))...)
	}
	return append(errs, s.ContainerLogs.Validate()...)
}

func (s *Serve) validateJobs() []error {
	var errs []error
	if _, err := job.ParseProfile(s.BatchV1Profile); err != nil {
		errs = append(errs, fmt.Errorf("--batch-v1-profile: %w", err))
	}
	for _, err := range controllers.ValidateSwitches(s.Controllers, s.controllerNames()) {
		errs = append(errs, fmt.Errorf("--controllers: %w", err))
	}
	return append(errs, s.Tunables.Validate()...)
}

// controllerNames are the controllers that the mode has.
func (s *Serve) controllerNames() []string {
	if s.Standalone {
		return controllers.StandaloneNames()
	}
	return controllers.AggregatedNames()
}

func (s *Serve) profile() job.Profile { return job.Profile(s.BatchV1Profile) }

// AggregatedConfig returns the configuration of a server beside a cluster. The flags must be valid.
func (s *Serve) AggregatedConfig() aggregated.Options {
	o := s.Aggregated.Options
	if s.Aggregated.ServeBatchV1 {
		o.BatchV1Profile = s.profile()
	}
	o.NoRegistration = !s.Aggregated.Register
	o.DataDir, o.Etcd, o.Election = s.DataDir, s.Etcd.Store, s.Etcd.Election()
	o.Controllers, o.Job, o.Cleaning = s.Controllers, s.Tunables.job(), s.Tunables.cleaning()
	o.HostQPS, o.HostBurst = s.Tunables.HostAPIQPS, s.Tunables.HostAPIBurst
	o.BindAddress, o.Port = cmp.Or(s.BindAddress, defaultBindAddress), s.SecurePort
	return o
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
		BatchV1Profile: s.profile(),
		Etcd:           s.Etcd.Store,
		Election:       s.Etcd.Election(),
		Controllers:    s.Controllers,
		NodeName:       s.NodeName,
		ContainerLogs:  s.ContainerLogs.Config(),
		Job:            s.Tunables.job(),
		Cleaning:       s.Tunables.cleaning(),
	}, nil
}
