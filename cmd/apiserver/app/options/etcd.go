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

package options

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/backend"
	"github.com/jobserver-dev/jobserver/pkg/leaderelection"
)

// Etcd are the flags that say where everything is stored, and how replicas that share it elect a leader. Names and meanings are
// those of Kubernetes' components.
type Etcd struct {
	Store   apiserver.Etcd
	Elect   bool
	Timings leaderelection.Timings
}

// NewEtcd returns the defaults: etcd embedded in the process.
func NewEtcd() *Etcd {
	return &Etcd{
		Store:   apiserver.Etcd{Prefix: apiserver.DefaultEtcdPrefix},
		Elect:   true,
		Timings: leaderelection.Timings{}.WithDefaults(),
	}
}

// AddFlags adds the flags to flags.
func (e *Etcd) AddFlags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&e.Store.Servers, "etcd-servers", e.Store.Servers, "URLs of the members of an etcd cluster to store everything in. Default: etcd runs in this process, in the data folder.")
	flags.StringVar(&e.Store.CAFile, "etcd-cafile", e.Store.CAFile, "File with the certificates of the authority that signed those of the etcd servers. Default: the authorities that this machine trusts.")
	flags.StringVar(&e.Store.CertFile, "etcd-certfile", e.Store.CertFile, "File with the certificate to show to the etcd servers.")
	flags.StringVar(&e.Store.KeyFile, "etcd-keyfile", e.Store.KeyFile, "File with the key of --etcd-certfile.")
	flags.StringVar(&e.Store.Prefix, "etcd-prefix", e.Store.Prefix, "Path that the keys of everything stored in etcd begin with. Servers with the same one are replicas of each other.")
	flags.BoolVar(&e.Elect, "leader-elect", e.Elect, "Run the controllers only on the one replica that is elected among those on the same etcd. Without --etcd-servers there is only one.")
	flags.DurationVar(&e.Timings.LeaseDuration, "leader-elect-lease-duration", e.Timings.LeaseDuration, "How long the other replicas wait for a leader that doesn't answer before one of them takes over. etcd counts in whole seconds.")
	flags.DurationVar(&e.Timings.RenewDeadline, "leader-elect-renew-deadline", e.Timings.RenewDeadline, "How long a leader that can't renew its lease goes on before it stops its controllers. What is left of the lease is the time that they get for it.")
	flags.DurationVar(&e.Timings.RetryPeriod, "leader-elect-retry-period", e.Timings.RetryPeriod, "Time between two renewals of the lease.")
}

// Validate returns an error for each flag with a bad value.
func (e *Etcd) Validate() []error {
	var errs []error
	for _, server := range e.Store.Servers {
		if err := validateServer(server); err != nil {
			errs = append(errs, fmt.Errorf("--etcd-servers: %q %w", server, err))
		}
	}
	errs = append(errs, e.validateFiles()...)
	if e.Store.Prefix != "" && path.Join("/", e.Store.Prefix) == "/" {
		errs = append(errs, fmt.Errorf("--etcd-prefix: %q is the root of all keys; name a path such as %s", e.Store.Prefix, apiserver.DefaultEtcdPrefix))
	}
	for _, err := range e.Timings.Validate() {
		errs = append(errs, fmt.Errorf("--leader-elect-%w", err))
	}
	return errs
}

func validateServer(server string) error {
	parsed, err := url.Parse(server)
	switch {
	case err != nil || !slices.Contains([]string{"http", "https", "unix", "unixs"}, parsed.Scheme):
		return errors.New("is not a URL such as https://127.0.0.1:2379")
	case parsed.Host == "" && strings.HasPrefix(parsed.Scheme, "http"):
		return errors.New("has no host")
	}
	return nil
}

func (e *Etcd) validateFiles() []error {
	var errs []error
	for _, file := range []fileFlag{
		{"etcd-cafile", e.Store.CAFile}, {"etcd-certfile", e.Store.CertFile}, {"etcd-keyfile", e.Store.KeyFile},
	} {
		switch {
		case file.path == "":
		case len(e.Store.Servers) == 0:
			errs = append(errs, fmt.Errorf("--%s: has no use without --etcd-servers", file.flag))
		default:
			errs = append(errs, checkFiles(file)...)
		}
	}
	switch {
	case e.Store.CertFile != "" && e.Store.KeyFile == "":
		errs = append(errs, errors.New("--etcd-keyfile: is required with --etcd-certfile"))
	case e.Store.CertFile == "" && e.Store.KeyFile != "":
		errs = append(errs, errors.New("--etcd-certfile: is required with --etcd-keyfile"))
	}
	return errs
}

// Election returns the configuration of the election.
func (e *Etcd) Election() backend.ElectionOptions {
	return backend.ElectionOptions{Off: !e.Elect, Timings: e.Timings}
}
