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

package aggregated

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kubectlTimeout bounds every call; longer waits pass their own --timeout below it.
const kubectlTimeout = 3 * time.Minute

// user is somebody with a kubectl, in one namespace or, where that is empty, the default one.
type user struct {
	in         *installation
	kubeconfig string
	namespace  string
}

// as is the same namespace for somebody else. The name is a file name too.
func (u user) as(t *testing.T, name string, groups ...string) user {
	t.Helper()
	kubeconfig, err := u.in.cluster.UserKubeconfig(name, groups...)
	if err != nil {
		t.Fatal(err)
	}
	return user{in: u.in, kubeconfig: kubeconfig, namespace: u.namespace}
}

// try runs kubectl and returns its standard output. The error has the exit code and what kubectl wrote to standard error.
func (u user) try(stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), kubectlTimeout)
	defer cancel()
	command := u.command(ctx, args...)
	command.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

func (u user) command(ctx context.Context, args ...string) *exec.Cmd {
	all := []string{"--kubeconfig", u.kubeconfig, "--cache-dir", filepath.Join(u.in.dir, "kubectl-cache")}
	if u.namespace != "" {
		all = append(all, "--namespace", u.namespace)
	}
	return exec.CommandContext(ctx, *kubectlPath, append(all, args...)...)
}

// run runs kubectl, which must succeed.
func (u user) run(t *testing.T, args ...string) string {
	t.Helper()
	stdout, err := u.try("", args...)
	if err != nil {
		t.Fatal(err)
	}
	return stdout
}

// refused runs kubectl, which must fail, and returns the error.
func (u user) refused(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	stdout, err := u.try(stdin, args...)
	if err == nil {
		t.Fatalf("kubectl %s succeeded:\n%s", strings.Join(args, " "), stdout)
	}
	return err.Error()
}

// apply applies a manifest, which must succeed.
func (u user) apply(t *testing.T, manifest string) {
	t.Helper()
	if _, err := u.try(manifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// read runs kubectl, which must write JSON.
func (u user) read(t *testing.T, into any, args ...string) {
	t.Helper()
	if err := json.Unmarshal([]byte(u.run(t, append(args, "-o", "json")...)), into); err != nil {
		t.Fatalf("kubectl %s: %v", strings.Join(args, " "), err)
	}
}

// wait waits with "kubectl wait" until one of our Jobs has a condition.
func (u user) wait(t *testing.T, job, condition string) {
	t.Helper()
	u.waitFor(t, "jobs.batch.jobserver.dev/"+job, condition)
}

func (u user) waitFor(t *testing.T, object, condition string) {
	t.Helper()
	if _, err := u.try("", "wait", "--for=condition="+condition, "--timeout=120s", object); err != nil {
		description, _ := u.try("", "describe", "jobs.batch.jobserver.dev,pods")
		t.Fatalf("%v\n%s", err, description)
	}
}

// grant binds a role to a user, as in "--role=worker", "--user=worker", and returns when the cluster's API server has noticed that it allows a
// verb on our Jobs. Before that the server under test would be told no, and remember it for seconds.
func (u user) grant(t testing.TB, role, subject, verb string) {
	t.Helper()
	kind, name, _ := strings.Cut(strings.TrimPrefix(subject, "--"), "=")
	if _, err := u.try("", "create", "rolebinding", "granted-"+strings.ReplaceAll(name, ":", "-"), role, subject); err != nil {
		t.Fatal(err)
	}
	if kind == "serviceaccount" {
		name = "system:serviceaccount:" + name
	}
	eventually(t, time.Minute, func() string {
		_, err := u.try("", "auth", "can-i", verb, ours, "--as", name)
		return describeError(err)
	})
}

// serial numbers namespaces: one of the same name may still be on its way out ("go test -count").
var serial atomic.Int64

// newNamespace makes a namespace for the test, named after it, and deletes it when the test ends. The user is the administrator.
func (in *installation) newNamespace(t *testing.T) user {
	t.Helper()
	name := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(t.Name()), "-"), "-")
	u := user{in: in, kubeconfig: in.admin.kubeconfig, namespace: fmt.Sprintf("%s-%d", name[:min(len(name), 50)], serial.Add(1))}
	in.admin.run(t, "create", "namespace", u.namespace)
	t.Cleanup(func() {
		err := in.kube.CoreV1().Namespaces().Delete(context.Background(), u.namespace, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Logf("deleting the test's namespace: %v", err)
		}
	})
	// Pods are refused before their namespace has its account.
	eventually(t, time.Minute, func() string {
		if _, err := in.kube.CoreV1().ServiceAccounts(u.namespace).Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
			return err.Error()
		}
		return ""
	})
	return u
}
