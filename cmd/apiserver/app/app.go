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

// Package app holds the commands of the binary.
package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	// Gives --logging-format its second format.
	_ "k8s.io/component-base/logs/json/register"
	"k8s.io/component-base/version"

	"github.com/jobserver-dev/jobserver/cmd/apiserver/app/options"
)

// Exit codes.
const (
	exitFailure = 1
	exitUsage   = 2
	// exitInterrupted is what a shell reports of a program that SIGINT ended.
	exitInterrupted = 128 + int(syscall.SIGINT)
)

// exitError ends the program with a code. Without an error, everything has been said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// Main runs the command line args, without the program's name, and returns the exit code: 0 for success, 1 for failure, 2 for a command
// line or a file that can't be understood, 130 when interrupted.
func Main(args []string) int {
	// The first signal ends the command in good order, a second one at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	command := newCommand()
	command.SetArgs(args)
	err := command.ExecuteContext(ctx)
	logs.FlushLogs()
	if err == nil {
		return 0
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{code: exitFailure, err: err}
	}
	if exit.err != nil {
		fmt.Fprintf(os.Stderr, "apiserver: %v\n", exit.err)
	}
	return exit.code
}

func newCommand() *cobra.Command {
	serveOptions := options.NewServe()
	command := &cobra.Command{
		Use:   "apiserver",
		Short: "Serve Jobs, and on one machine run them",
		Long: `apiserver is a Kubernetes-compatible API server for Jobs.

With --standalone it needs no cluster: etcd is embedded, Pods run as processes of this machine, and kubectl works with
the kubeconfig that it writes into its data folder.`,
		Version:       version.Get().GitVersion,
		Args:          noArguments,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := logsapi.ValidateAndApply(serveOptions.Logs, nil); err != nil {
				return usageError(fmt.Errorf("flags of logging: %w", err))
			}
			return serve(command.Context(), serveOptions, command.OutOrStdout())
		},
	}
	serveOptions.AddFlags(command.Flags())
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err) })
	command.AddCommand(newRunCommand(), newNodeCommand(), newDoctorCommand())
	command.CompletionOptions.HiddenDefaultCmd = true
	return command
}

func noArguments(command *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError(fmt.Errorf("unknown command %q, see '%s --help'", args[0], command.CommandPath()))
	}
	return nil
}

func usageError(err error) error {
	return &exitError{code: exitUsage, err: err}
}
