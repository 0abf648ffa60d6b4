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
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/cmd/apiserver/app/options"
	"github.com/jobserver-dev/jobserver/cmd/apiserver/app/run"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/standalone"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// stopPodsTimeout bounds how long run waits for its Pods after the grace periods that they ask for. What is left is killed.
const stopPodsTimeout = 45 * time.Second

// errBroken is the end of a part of the server, for want of disk space say. Nothing more comes of the Jobs then.
var errBroken = errors.New("the server has failed")

func newRunCommand() *cobra.Command {
	flags := options.NewRun()
	command := &cobra.Command{
		Use:   "run -f FILE",
		Short: "Run the Jobs of manifests on this machine, then leave nothing behind",
		Long: `run starts a throw-away server in this process, creates the objects of the files, shows the output of the Pods and the
progress of the Jobs, and ends with them.

It exits with 0 where every Job completed, 1 where one did not, 2 for a file that doesn't parse or is rejected, and 130 when
interrupted, after its Pods have been stopped. Even where it is killed, its Pods end with it and nothing stays behind.`,
		Example: "  apiserver run -f job.yaml\n  generate-jobs | apiserver run -f -",
		Args:    noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := flags.Validate(); err != nil {
				return usageError(err)
			}
			return runFiles(command.Context(), flags, command.InOrStdin(), command.OutOrStdout())
		},
	}
	flags.AddFlags(command.Flags())
	return command
}

// runFiles reads everything before it starts anything: a typing error costs no time.
func runFiles(ctx context.Context, flags *options.Run, in io.Reader, out io.Writer) error {
	objects, err := run.ReadFiles(flags.Filenames, in)
	if err != nil {
		return usageError(err)
	}
	dir, err := os.MkdirTemp("", "jobserver-run-")
	if err != nil {
		return fmt.Errorf("make a folder for the server: %w", err)
	}
	// Whatever kills this process, its Pods end with it and the folder goes after them.
	cleaner, err := runtime.StartCleaner("", dir, "node")
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	err = runIn(ctx, dir, flags, objects, out)
	if errors.Is(err, errBroken) {
		// A broken server can't even be stopped in good order: this process ends as if it were killed.
		return err
	}
	return withCode(ctx, errors.Join(err, os.RemoveAll(dir), cleaner.Close()))
}

func runIn(ctx context.Context, dir string, flags *options.Run, objects []run.Object, out io.Writer) (err error) {
	closeLog, err := logTo(filepath.Join(dir, "server.log"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()

	config, err := flags.Server(dir).Config()
	if err != nil {
		return err
	}
	config.EndPodsWithProcess = true
	server, err := standalone.Start(ctx, config)
	if err != nil {
		return err
	}
	// The Jobs' result counts, and what could not be cleaned up is said with it.
	if err = runOn(ctx, server, objects, out); errors.Is(err, errBroken) {
		return err
	}
	stopContext, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPodsTimeout)
	defer cancel()
	return errors.Join(err, server.StopPods(stopContext), server.Stop())
}

// runOn runs the objects on a server. Where a part of that ends meanwhile, the error wraps errBroken.
func runOn(ctx context.Context, server *standalone.Server, objects []run.Object, out io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- server.Wait(ctx)
		stop()
	}()
	err := run.Run(ctx, server.AdminClient(), objects, out, isTerminal(out))
	stop()
	if cause := <-ended; cause != nil {
		return fmt.Errorf("%w: %w", errBroken, cause)
	}
	return err
}

// withCode chooses the exit code. An interruption says nothing more: who interrupted knows.
func withCode(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return &exitError{code: exitInterrupted}
	case errors.Is(err, run.ErrRejected), errors.Is(err, run.ErrNoJob):
		return usageError(err)
	default:
		return err
	}
}

// logTo sends the server's log to a file: the output belongs to the Jobs.
func logTo(path string) (func() error, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the server's log: %w", err)
	}
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	// Errors go to the standard error output too unless they are told not to.
	if err := errors.Join(flags.Set("logtostderr", "false"), flags.Set("stderrthreshold", "FATAL")); err != nil {
		return nil, errors.Join(fmt.Errorf("silence the server's log: %w", err), file.Close())
	}
	klog.SetOutput(file)
	return func() error {
		klog.Flush()
		klog.SetOutput(io.Discard)
		return file.Close()
	}, nil
}

// isTerminal says whether out is a terminal that things can be drawn on. One without a size (a serial line, some CI runners) is none:
// no line of it could be drawn again.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return false
	}
	width, height, err := term.GetSize(int(file.Fd()))
	return err == nil && width > 0 && height > 0
}
