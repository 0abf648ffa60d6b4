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

// Command with-cluster runs a command beside a real Kubernetes control plane that it starts and stops, with KUBECONFIG set to its
// administrator's:
//
//	with-cluster -binaries _output/kubernetes -- kubectl get namespaces
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/jobserver-dev/jobserver/test/e2e/cluster"
)

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

func main() {
	err := run()
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		// The command has said itself what was wrong.
		os.Exit(exit.ExitCode())
	default:
		fmt.Fprintln(os.Stderr, "with-cluster:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	var apiServerArgs, controllerManagerArgs list
	binaries := flag.String("binaries", "_output/kubernetes", "folder with etcd, kube-apiserver and kube-controller-manager (make kubernetes)")
	keep := flag.String("dir", "", "folder for data, certificates and logs, which is kept; default: a temporary one")
	flag.Var(&apiServerArgs, "apiserver-arg", "further flag of kube-apiserver; may be given several times")
	flag.Var(&controllerManagerArgs, "controller-manager-arg", "further flag of kube-controller-manager; may be given several times")
	flag.Parse()
	if flag.NArg() == 0 {
		return errors.New("no command to run")
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()

	dir := *keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "cluster-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	running, err := cluster.Start(ctx, cluster.Options{
		Binaries:              *binaries,
		Dir:                   dir,
		APIServerArgs:         apiServerArgs,
		ControllerManagerArgs: controllerManagerArgs,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.Stop()) }()

	command := exec.CommandContext(ctx, flag.Arg(0), flag.Args()[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), "KUBECONFIG="+running.Kubeconfig(), "CLUSTER_DIR="+dir, "CONTROLLER_MANAGER="+running.ControllerManagerURL())
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	return command.Run()
}
