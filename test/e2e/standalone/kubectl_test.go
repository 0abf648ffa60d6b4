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

package standalone

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// kubectlTimeout bounds every call; longer waits pass their own --timeout below it.
const kubectlTimeout = 2 * time.Minute

// kubectl runs kubectl as the server's administrator and returns its standard output. An empty namespace means the default one.
// The error has the exit code and what kubectl wrote to standard error.
func (s *server) kubectl(namespace, stdin string, args ...string) (string, error) {
	return s.kubectlWith(nil, namespace, stdin, args...)
}

// kubectlWith does the same with additional variables in kubectl's environment.
func (s *server) kubectlWith(environment []string, namespace, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), kubectlTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, *kubectlPath, s.kubectlArgs(namespace, args...)...)
	command.Env = append(os.Environ(), environment...)
	command.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

func (s *server) kubectlArgs(namespace string, args ...string) []string {
	all := []string{"--kubeconfig", s.kubeconfig(), "--cache-dir", s.dataDir + "-kubectl-cache"}
	if namespace != "" {
		all = append(all, "--namespace", namespace)
	}
	return append(all, args...)
}

// client is kubectl in one namespace of one server, for one test.
type client struct {
	server    *server
	namespace string
}

// newClient makes a namespace for the test, named after it, and deletes it when the test ends.
func newClient(t *testing.T, s *server) *client {
	t.Helper()
	name := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(t.Name()), "-"), "-")
	// Numbered, because a namespace of the same name may still be on its way out ("go test -count").
	c := &client{server: s, namespace: fmt.Sprintf("%s-%d", name[:min(len(name), 50)], serial.Add(1))}
	if _, err := s.kubectl("", "", "create", "namespace", c.namespace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.running == nil {
			return
		}
		if _, err := s.kubectl("", "", "delete", "namespace", c.namespace, "--wait=false"); err != nil {
			t.Errorf("deleting the test's namespace: %v", err)
		}
	})
	return c
}

// run runs kubectl, which must succeed.
func (c *client) run(t *testing.T, args ...string) string {
	t.Helper()
	stdout, err := c.server.kubectl(c.namespace, "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return stdout
}

// refused runs kubectl, which must fail, and returns the error.
func (c *client) refused(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	stdout, err := c.server.kubectl(c.namespace, stdin, args...)
	if err == nil {
		t.Fatalf("kubectl %s succeeded:\n%s", strings.Join(args, " "), stdout)
	}
	return err.Error()
}

// apply applies a manifest, which must succeed.
func (c *client) apply(t *testing.T, manifest string) {
	t.Helper()
	if _, err := c.server.kubectl(c.namespace, manifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// wait waits with "kubectl wait" until a Job has a condition.
func (c *client) wait(t *testing.T, job, condition string) {
	t.Helper()
	_, err := c.server.kubectl(c.namespace, "", "wait", "--for=condition="+condition, "--timeout=90s", "job/"+job)
	if err != nil {
		description, _ := c.server.kubectl(c.namespace, "", "describe", "job,pods")
		t.Fatalf("%v\n%s", err, description)
	}
}

// watch starts a kubectl that watches, and ends it with the test.
func (c *client) watch(t *testing.T, args ...string) *process {
	t.Helper()
	return c.watchWith(t, nil, args...)
}

// watchWith does the same with additional variables in kubectl's environment.
func (c *client) watchWith(t *testing.T, environment []string, args ...string) *process {
	t.Helper()
	command := exec.Command(*kubectlPath, c.server.kubectlArgs(c.namespace, args...)...)
	command.Env = append(os.Environ(), environment...)
	p, err := startCommand(command, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// condition is a condition of a Job or Pod.
type condition struct {
	Type, Status, Reason, Message string
}

// job is what the tests read of a Job of either group.
type job struct {
	APIVersion string
	Metadata   struct {
		Name, UID  string
		Labels     map[string]string
		Generation int64
	}
	Spec struct {
		Parallelism, Completions, BackoffLimit           *int
		Suspend                                          *bool
		DisruptionPolicy, SuspendPolicy, WorkQueuePolicy string
	}
	Status struct {
		Active, Ready, Succeeded, Failed int
		CompletedIndexes                 string
		StartTime, CompletionTime        *time.Time
		Conditions                       []condition
		UncountedTerminatedPods          struct{ Succeeded, Failed []string }
	}
}

// condition returns a Job's condition of a type; the zero value where it has none.
func (j job) condition(conditionType string) condition {
	for _, c := range j.Status.Conditions {
		if c.Type == conditionType {
			return c
		}
	}
	return condition{}
}

// pod is what the tests read of a Pod.
type pod struct {
	Metadata struct {
		Name, UID           string
		Labels, Annotations map[string]string
		Finalizers          []string
		OwnerReferences     []struct {
			APIVersion, Kind, Name, UID string
			Controller                  bool
		}
	}
	Spec struct {
		Hostname string
	}
	Status struct {
		Phase, PodIP      string
		Conditions        []condition
		ContainerStatuses []struct {
			Name         string
			RestartCount int
			State        struct {
				Terminated *struct {
					ExitCode int
					Reason   string
				}
			}
		}
	}
}

// job reads a Job; resource is "jobs" or a longer or shorter name of it.
func (c *client) job(t *testing.T, resource, name string) job {
	t.Helper()
	var j job
	c.read(t, &j, "get", resource, name, "-o", "json")
	return j
}

// pods reads the Pods of a Job.
func (c *client) pods(t *testing.T, job string) []pod {
	t.Helper()
	var list struct{ Items []pod }
	c.read(t, &list, "get", "pods", "-l", "job-name="+job, "-o", "json")
	return list.Items
}

func (c *client) read(t *testing.T, into any, args ...string) {
	t.Helper()
	if err := json.Unmarshal([]byte(c.run(t, args...)), into); err != nil {
		t.Fatalf("kubectl %s: %v", strings.Join(args, " "), err)
	}
}

// eventually polls until check returns "", and fails with what it returned last when the time is over.
func eventually(t *testing.T, timeout time.Duration, check func() string) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	for {
		problem := check()
		if problem == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %s", timeout, problem)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
