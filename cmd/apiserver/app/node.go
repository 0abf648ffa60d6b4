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
	"fmt"

	"github.com/spf13/cobra"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/jobserver-dev/jobserver/cmd/apiserver/app/options"
	"github.com/jobserver-dev/jobserver/pkg/node"
)

func newNodeCommand() *cobra.Command {
	flags := options.NewNode()
	command := &cobra.Command{
		Use:   "node --kubeconfig FILE --data-dir DIR",
		Short: "Be a node of a cluster that runs Pods as processes of this machine",
		Long: `node registers this machine with an API server and runs the Pods that are bound to it, as processes, in the place of a kubelet.

It serves a kubelet's API, by which the API server reaches it for kubectl logs, exec, attach and port-forward. Pods go on when
it ends, and a node started on the same folder finds them again; --stop-pods-on-exit ends them with it.`,
		Example: "  apiserver node --kubeconfig node.kubeconfig --data-dir /var/lib/jobserver-node --node-name jobs-1 --client-ca-file ca.crt",
		Args:    noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := flags.Validate(); err != nil {
				return usageError(err)
			}
			if err := logsapi.ValidateAndApply(flags.Logs, nil); err != nil {
				return usageError(fmt.Errorf("flags of logging: %w", err))
			}
			config, err := flags.Options()
			if err != nil {
				return usageError(err)
			}
			started, err := node.New(config)
			if err != nil {
				return flagged(err)
			}
			fmt.Fprintf(command.OutOrStdout(), "Node %s of %s, kubelet's API on port %d\n", config.NodeName, config.API.Host, started.Port())
			return started.Run(command.Context())
		},
	}
	flags.AddFlags(command.Flags())
	return command
}
