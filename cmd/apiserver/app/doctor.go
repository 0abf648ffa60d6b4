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

package app

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/tools/clientcmd"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/doctor"
)

func newDoctorCommand() *cobra.Command {
	var kubeconfig, output string
	var replaced bool
	options := doctor.Options{GroupVersion: batchv1.SchemeGroupVersion, Namespace: "jobserver-system", ServiceAccount: "jobserver"}
	command := &cobra.Command{
		Use:   "doctor",
		Short: "Examine an installation in a cluster, and say what is wrong and what mends it",
		Long: `doctor walks every link between a client and the Jobs of a cluster: the registration (APIService), service, endpoints,
certificates, front proxy, rights, our server's health with etcd, and clocks. It needs an administrator's kubeconfig and changes nothing.

For a link that is bad it prints commands that mend it, to be run in a folder with the manifests (artifacts/) of the version that runs. The first bad link
is the one to mend first: others may follow from it.

It exits with 0 where no link is bad, 1 where one is, and 2 for flags that are wrong.`,
		Example: `  apiserver doctor --kubeconfig ~/.kube/config
  apiserver doctor --output json | jq -r '.findings[] | select(.verdict == "bad") | .mend[]?'`,
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			for flag, value := range map[string]string{"namespace": options.Namespace, "service-account": options.ServiceAccount} {
				for _, message := range validation.IsDNS1123Subdomain(value) {
					return usageError(fmt.Errorf("--%s: %q: %s", flag, value, message))
				}
			}
			print, known := map[string]func(io.Writer, []doctor.Finding) error{"text": doctor.Print, "json": doctor.PrintJSON}[output]
			if !known {
				return usageError(fmt.Errorf("--output: %q is neither text nor json", output))
			}
			rules := clientcmd.NewDefaultClientConfigLoadingRules()
			rules.ExplicitPath = kubeconfig
			config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
			if err != nil {
				return usageError(fmt.Errorf("--kubeconfig: %w", err))
			}
			options.Cluster = config
			if replaced {
				options.GroupVersion = schema.GroupVersion{Group: "batch", Version: "v1"}
			}
			findings, err := doctor.Examine(command.Context(), options)
			if err != nil {
				return err
			}
			if err := print(command.OutOrStdout(), findings); err != nil {
				return err
			}
			if !doctor.Healthy(findings) {
				return errors.New("the installation is not healthy")
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&kubeconfig, "kubeconfig", "", "Kubeconfig of an administrator of the cluster. Default: as kubectl.")
	flags.StringVarP(&output, "output", "o", "text", "How to write what was found: text or json.")
	flags.StringVar(&options.Namespace, "namespace", options.Namespace, "Namespace that the server runs in.")
	flags.StringVar(&options.ServiceAccount, "service-account", options.ServiceAccount, "Service account that the server runs as.")
	flags.BoolVar(&replaced, "serve-batch-v1", false, "Examine batch/v1, where the server has taken it over.")
	return command
}
