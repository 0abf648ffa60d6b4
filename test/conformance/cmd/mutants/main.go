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

// Command mutants runs servers that break one rule each and has the conformance suite judge them. It exits with 0 where the
// suite notices all, and 1 where one survives. Results are written as they come, so that it can be stopped and started again: only
// mutants without a result, or that were changed since, are judged. -all judges all of them.
//
// It is run in the root of the repository, with bin/conformance built. The source stays untouched.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jobserver-dev/jobserver/test/conformance/mutants"
	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

const (
	conformance = "bin/conformance"
	// wait is how long a test waits for what a mutant may never do. It bears back-off and a loaded machine.
	wait = 45 * time.Second
	// startTimeout is how long a server may take until its kubeconfig is there.
	startTimeout = time.Minute
)

func main() {
	all := flag.Bool("all", false, "judge all mutants, those with a result too")
	pattern := flag.String("run", "", "regular expression for the names of mutants")
	parallel := flag.Int("parallel", 2, "how many mutants are judged at a time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *all, *pattern, *parallel); err != nil {
		fmt.Fprintf(os.Stderr, "mutants: %v\n", err)
		os.Exit(1)
	}
}

// book keeps the results and their file.
type book struct {
	lock    sync.Mutex
	results map[string]mutants.Result
}

func run(ctx context.Context, all bool, pattern string, parallel int) error {
	names, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	list, err := mutants.All()
	if err != nil {
		return err
	}
	written, err := mutants.ReadResults(mutants.ResultsFile)
	if err != nil {
		return err
	}
	b := &book{results: map[string]mutants.Result{}}
	for _, result := range written {
		b.results[result.Name] = result
	}
	known := map[string]bool{}
	var queue []mutants.Mutant
	for _, mutant := range list {
		known[mutant.Name] = true
		if names.MatchString(mutant.Name) && (all || b.results[mutant.Name].Edit != mutant.Edit() || len(b.results[mutant.Name].Noticed) == 0) {
			queue = append(queue, mutant)
		}
	}
	for name := range b.results {
		if !known[name] {
			delete(b.results, name)
		}
	}
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "apiserver")
	if err := build(ctx, list, dir, binary); err != nil {
		return err
	}
	if err := baseline(ctx, queue, dir, binary); err != nil {
		return err
	}
	return b.judgeAll(ctx, queue, dir, binary, parallel)
}

// baseline has the tests of all mutants judge the server without any: where something is noticed then, results mean nothing.
func baseline(ctx context.Context, queue []mutants.Mutant, dir, binary string) error {
	for _, group := range []string{"batch", "batch.jobserver.dev"} {
		var tests []string
		for _, mutant := range queue {
			if mutant.Group == group {
				tests = append(tests, mutant.Tests)
			}
		}
		if len(tests) == 0 {
			continue
		}
		noticed, err := judge(ctx, mutants.Mutant{Tests: strings.Join(tests, "|"), Group: group}, filepath.Join(dir, "none-"+group), binary)
		if err != nil {
			return err
		}
		if len(noticed) > 0 {
			return fmt.Errorf("the server without an edit fails %v", noticed)
		}
	}
	return nil
}

// judgeAll judges mutants, some at a time, and says at the end which survived.
func (b *book) judgeAll(ctx context.Context, queue []mutants.Mutant, dir, binary string, parallel int) error {
	var (
		wait sync.WaitGroup
		errs []error
	)
	work := make(chan mutants.Mutant)
	for range max(parallel, 1) {
		wait.Go(func() {
			for mutant := range work {
				noticed, err := judge(ctx, mutant, filepath.Join(dir, mutant.Name), binary)
				if err := b.enter(mutant, noticed, err); err != nil {
					b.lock.Lock()
					errs = append(errs, err)
					b.lock.Unlock()
				}
			}
		})
	}
	for _, mutant := range queue {
		if ctx.Err() == nil {
			work <- mutant
		}
	}
	close(work)
	wait.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// enter writes down how the suite judged a mutant, and returns an error where nobody noticed it or it could not be judged.
func (b *book) enter(mutant mutants.Mutant, noticed []string, err error) error {
	if err != nil {
		fmt.Printf("error     %s: %v\n", mutant.Name, err)
		return fmt.Errorf("%s: %w", mutant.Name, err)
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	b.results[mutant.Name] = mutants.Result{Name: mutant.Name, Rule: mutant.Rule, Edit: mutant.Edit(), Noticed: noticed}
	results := make([]mutants.Result, 0, len(b.results))
	for _, result := range b.results {
		results = append(results, result)
	}
	if err := mutants.WriteResults(mutants.ResultsFile, results); err != nil {
		return err
	}
	if len(noticed) == 0 {
		fmt.Printf("SURVIVED  %s\n", mutant.Name)
		return fmt.Errorf("%s survived %s", mutant.Name, mutant.Tests)
	}
	fmt.Printf("noticed   %s: %s\n", mutant.Name, strings.Join(noticed, ", "))
	return nil
}

// judge runs a mutant in a folder and its tests on it, and returns the names of those that fail.
func judge(ctx context.Context, mutant mutants.Mutant, dir, binary string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	kubeconfig, stop, err := serve(ctx, mutant, dir, binary)
	if err != nil {
		return nil, err
	}
	defer stop()
	report := filepath.Join(dir, "report.yaml")
	command := exec.CommandContext(ctx, conformance, "--kubeconfig", kubeconfig, "--group", mutant.Group+"/v1", "--run", mutant.Tests,
		"--wait", wait.String(), "--keep", "--parallel", "16", "--report", report)
	// It fails where a test does; what it found is in the report.
	output, runErr := command.CombinedOutput()
	text, err := os.ReadFile(report)
	if err != nil {
		return nil, fmt.Errorf("no report: %w: %s", runErr, output)
	}
	judged, err := suite.ReadReport(text)
	if err != nil {
		return nil, err
	}
	var noticed []string
	for _, run := range judged.Runs {
		for _, test := range run.Tests {
			if test.Outcome == suite.Fail {
				noticed = append(noticed, test.Name)
			}
		}
	}
	return noticed, nil
}

// build builds a server that can be any of the mutants.
func build(ctx context.Context, all []mutants.Mutant, dir, binary string) error {
	files, err := mutants.Overlay(".", all)
	if err != nil {
		return err
	}
	replace := map[string]string{}
	for path, text := range files {
		file, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		replace[file] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[file], text, 0o600); err != nil {
			return err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-overlay", list, "-o", binary, "./cmd/apiserver")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, output)
	}
	return nil
}

// serve starts a mutant as a standalone server and returns its kubeconfig, and what stops it.
func serve(ctx context.Context, mutant mutants.Mutant, dir, binary string) (kubeconfig string, stop func(), _ error) {
	data := filepath.Join(dir, "data")
	server := exec.CommandContext(ctx, binary, "--standalone", "--data-dir", data, "--secure-port", "0")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return "", nil, err
	}
	server.Stdout, server.Stderr = log, log
	server.Env = append(os.Environ(), mutants.Variable+"="+mutant.Name)
	if err := server.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		// A throw-away server: it has nothing to put in order.
		_ = server.Process.Kill()
		_ = server.Wait()
		_ = log.Close()
	}
	kubeconfig = filepath.Join(data, "admin.kubeconfig")
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(100 * time.Millisecond) {
		if _, err := os.Stat(kubeconfig); err == nil {
			return kubeconfig, stop, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			stop()
			return "", nil, errors.New("the server did not start")
		}
	}
}
