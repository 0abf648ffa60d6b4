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
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jobserver-dev/jobserver/pkg/apiserver/aggregated"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/aggregated/certificates"
)

// minCertificateValidity is the shortest life of a certificate that the server makes: it has to be renewed and published within a third of it.
const minCertificateValidity = 30 * time.Second

// Aggregated are the flags of a server beside a cluster that one on its own does not have. Those of k8s.io/apiserver keep their names.
type Aggregated struct {
	Options      aggregated.Options
	ServeBatchV1 bool
	Register     bool
}

// NewAggregated returns the defaults.
func NewAggregated() *Aggregated {
	return &Aggregated{Options: aggregated.NewOptions(), Register: true}
}

// notOurs are flags of k8s.io/apiserver that we have by the same name, or whose purpose is met in another way.
var notOurs = []string{"bind-address", "secure-port", "cert-dir"}

// AddFlags adds the flags to flags.
func (a *Aggregated) AddFlags(flags *pflag.FlagSet) {
	o := &a.Options
	flags.StringVar(&o.Kubeconfig, "kubeconfig", o.Kubeconfig, "Kubeconfig of the cluster that the server belongs to. Default: the cluster that it runs in.")
	flags.BoolVar(&a.ServeBatchV1, "serve-batch-v1", a.ServeBatchV1, "Serve batch/v1 too, for a cluster that has its own API of that name and its own Job controller switched off.")
	flags.BoolVar(&a.Register, "register-apiservice", a.Register, "Make the APIServices of what is served, and keep them right.")
	flags.StringVar(&o.Service.Namespace, "service-namespace", o.Service.Namespace, "Namespace of the Service by which the cluster reaches this server, and of its Secret and its ConfigMap. Default: the namespace that the server runs in, or "+aggregated.DefaultNamespace+".")
	flags.StringVar(&o.Service.Name, "service-name", o.Service.Name, "Name of the Service by which the cluster reaches this server.")
	flags.Int32Var(&o.Service.Port, "service-port", o.Service.Port, "Port of the Service by which the cluster reaches this server.")
	flags.DurationVar(&o.AuthorityValidity, "ca-validity", certificates.DefaultAuthorityValidity, "How long the certificate authority is good that the server makes without --tls-cert-file. The next one follows when a third of it is left.")
	flags.DurationVar(&o.ServingValidity, "serving-certificate-validity", certificates.DefaultServingValidity, "How long serving certificates are good that the server makes without --tls-cert-file. The next one follows when a third of it is left.")

	theirs := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.Serving.AddFlags(theirs)
	o.Authentication.AddFlags(theirs)
	o.Authorization.AddFlags(theirs)
	o.Audit.AddFlags(theirs)
	o.Features.AddFlags(theirs)
	o.Admission.AddFlags(theirs)
	theirs.VisitAll(func(flag *pflag.Flag) {
		if !slices.Contains(notOurs, flag.Name) {
			flags.AddFlag(flag)
		}
	})
	flags.Lookup("tls-cert-file").Usage = "File with the serving certificate, and those of intermediate authorities behind it. Read again when it changes. The caBundle of the APIServices is then left to whoever made it. Default: the server makes a certificate, keeps it in the Secret <service-name>-certificates and renews it."
}

// Validate returns an error for each flag with a bad value.
func (a *Aggregated) Validate() []error {
	var errs []error
	o := &a.Options
	if o.Service.Namespace != "" {
		errs = append(errs, messages("service-namespace", o.Service.Namespace, validation.IsDNS1123Label(o.Service.Namespace))...)
	}
	errs = append(errs, messages("service-name", o.Service.Name, validation.IsDNS1035Label(o.Service.Name))...)
	if o.Service.Port < 1 || o.Service.Port > 65535 {
		errs = append(errs, fmt.Errorf("--service-port: %d is not between 1 and 65535", o.Service.Port))
	}
	errs = append(errs, a.validateCertificates()...)
	errs = append(errs, a.validateFiles()...)
	for _, theirs := range [][]error{
		o.Serving.Validate(), o.Authentication.Validate(), o.Authorization.Validate(), o.Audit.Validate(), o.Features.Validate(), o.Admission.Validate(),
	} {
		errs = append(errs, theirs...)
	}
	return errs
}

func messages(flag, value string, messages []string) []error {
	var errs []error
	for _, message := range messages {
		errs = append(errs, fmt.Errorf("--%s: %q: %s", flag, value, message))
	}
	return errs
}

func (a *Aggregated) validateCertificates() []error {
	var errs []error
	o := &a.Options
	for _, validity := range []struct {
		flag  string
		value time.Duration
	}{{"ca-validity", o.AuthorityValidity}, {"serving-certificate-validity", o.ServingValidity}} {
		if validity.value < minCertificateValidity {
			errs = append(errs, fmt.Errorf("--%s: %s is less than %s", validity.flag, validity.value, minCertificateValidity))
		}
	}
	if o.ServingValidity > o.AuthorityValidity {
		errs = append(errs, fmt.Errorf("--serving-certificate-validity: %s is more than --ca-validity, %s", o.ServingValidity, o.AuthorityValidity))
	}
	files := o.Serving.ServerCert.CertKey
	switch {
	case files.CertFile != "" && files.KeyFile == "":
		errs = append(errs, errors.New("--tls-private-key-file: is required with --tls-cert-file"))
	case files.CertFile == "" && files.KeyFile != "":
		errs = append(errs, errors.New("--tls-cert-file: is required with --tls-private-key-file"))
	}
	return errs
}

// validateFiles finds files that are not there, or no kubeconfig.
func (a *Aggregated) validateFiles() []error {
	o := &a.Options
	errs := checkFiles(
		fileFlag{"kubeconfig", o.Kubeconfig},
		fileFlag{"tls-cert-file", o.Serving.ServerCert.CertKey.CertFile},
		fileFlag{"tls-private-key-file", o.Serving.ServerCert.CertKey.KeyFile},
		fileFlag{"authentication-kubeconfig", o.Authentication.RemoteKubeConfigFile},
		fileFlag{"authorization-kubeconfig", o.Authorization.RemoteKubeConfigFile},
		fileFlag{"client-ca-file", o.Authentication.ClientCert.ClientCA},
		fileFlag{"requestheader-client-ca-file", o.Authentication.RequestHeader.ClientCAFile},
		fileFlag{"audit-policy-file", o.Audit.PolicyFile},
		fileFlag{"audit-webhook-config-file", o.Audit.WebhookOptions.ConfigFile},
		fileFlag{"admission-control-config-file", o.Admission.ConfigFile},
	)
	if len(errs) == 0 && o.Kubeconfig != "" {
		if _, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig); err != nil {
			errs = append(errs, fmt.Errorf("--kubeconfig: %w", err))
		}
	}
	if o.Kubeconfig == "" && os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		errs = append(errs, errors.New("--kubeconfig: is required outside a cluster; --standalone serves without one"))
	}
	return errs
}
