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
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// report is what the doctor wrote.
type report struct {
	Healthy  bool
	Findings []finding
}

// finding is what the doctor says of one link.
type finding struct {
	Link, Verdict, Detail string
	Mend                  []string
	Advice                string
}

// cure is all that is said on what mends it.
func (f finding) cure() string {
	return strings.Join(append(f.Mend[:len(f.Mend):len(f.Mend)], f.Advice), "\n")
}

// bad returns what is wrong with a link; nothing where it isn't bad.
func (r report) bad(link string) finding {
	for _, found := range r.Findings {
		if found.Link == link && found.Verdict == "bad" {
			return found
		}
	}
	return finding{}
}

// String lists what is not well.
func (r report) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "healthy: %t", r.Healthy)
	for _, found := range r.Findings {
		if found.Verdict != "ok" {
			fmt.Fprintf(&text, "\n%s: %s: %s; %s", found.Link, found.Verdict, found.Detail, found.cure())
		}
	}
	return text.String()
}

// doctor runs the doctor. Its exit code must fit what it says.
func (in *installation) doctor(t *testing.T, kubeconfig string) report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	output, err := exec.CommandContext(ctx, *apiserverPath, "doctor", "--kubeconfig", kubeconfig, "--output", "json").Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("doctor: %v", err)
	}
	var got report
	if err := json.Unmarshal(output, &got); err != nil {
		t.Fatalf("doctor: %v: %s", err, output)
	}
	if got.Healthy != (exit == nil) {
		t.Errorf("doctor: exit %v, %s", exit, got)
	}
	return got
}

// doctorPause is the time between two tries of the cluster's API server while the doctor is asked.
const doctorPause = 2 * time.Second

// waitDiagnosis waits until the doctor finds what is broken.
func (in *installation) waitDiagnosis(t *testing.T, want breakage) {
	t.Helper()
	eventually(t, waitLong, func() string {
		in.tryAgain(t, doctorPause)
		got := in.doctor(t, in.admin.kubeconfig)
		found := got.bad(want.link)
		if got.Healthy || !strings.Contains(found.Detail, want.found) || !strings.Contains(found.cure(), want.told) {
			return got.String()
		}
		return ""
	})
}

func (in *installation) waitHealthy(t *testing.T) {
	t.Helper()
	eventually(t, waitLong, func() string {
		in.tryAgain(t, doctorPause)
		if got := in.doctor(t, in.admin.kubeconfig); !got.Healthy {
			return got.String()
		}
		return ""
	})
}

// mendUntilHealthy does what an administrator does: the commands of the first bad link, and then the doctor is asked again.
func (in *installation) mendUntilHealthy(t *testing.T) {
	t.Helper()
	done := map[string]bool{}
	eventually(t, waitLong, func() string {
		in.tryAgain(t, doctorPause)
		got := in.doctor(t, in.admin.kubeconfig)
		if got.Healthy {
			return ""
		}
		for _, found := range got.Findings {
			if commands := strings.Join(found.Mend, "\n"); found.Verdict == "bad" && commands != "" && !done[commands] {
				done[commands] = true
				in.mend(t, found)
				break
			}
		}
		return got.String()
	})
	if len(done) == 0 {
		t.Error("it was healthy before anything was done")
	}
}

// tryAgain has the cluster's API server try our service now, if that was not done within a time. By itself it waits up to half a minute between two tries, which
// is not what is tested here. A try lasts six seconds where nobody answers, and what comes of it is lost when the registration has changed meanwhile. The
// registration need not be there.
func (in *installation) tryAgain(t *testing.T, pause time.Duration) {
	t.Helper()
	if time.Since(in.triedAgain) < pause {
		return
	}
	in.triedAgain = time.Now()
	_, err := in.admin.try("", "annotate", "apiservice", registrationName, "--overwrite", "tried-at="+in.triedAgain.Format(time.RFC3339Nano))
	if err != nil && !strings.Contains(err.Error(), "not found") {
		t.Logf("the cluster was not told to try again: %v", err)
	}
}

// mend runs the commands of a finding, as the administrator, in a folder with the manifests.
func (in *installation) mend(t *testing.T, found finding) {
	t.Helper()
	for _, command := range found.Mend {
		ctx, cancel := context.WithTimeout(t.Context(), kubectlTimeout)
		defer cancel()
		shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", command)
		shell.Dir = in.dir
		shell.Env = append(os.Environ(), "KUBECONFIG="+in.admin.kubeconfig, "HOME="+in.dir, "PATH="+filepath.Join(in.dir, "bin")+":"+os.Getenv("PATH"))
		output, err := shell.CombinedOutput()
		t.Logf("$ %s\n%s", command, output)
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
	}
}

// copyManifests makes the folder that the doctor's commands want to be run in: the manifests, with a Service that leads to this installation's server,
// and kubectl by its name.
func (in *installation) copyManifests(t *testing.T) {
	t.Helper()
	manifests := filepath.Join(in.dir, "artifacts", "kustomize")
	if err := os.CopyFS(manifests, os.DirFS(*manifestsPath)); err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(manifests, "base")
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: jobserver, namespace: " + systemNamespace + "}\nspec: {type: ExternalName, externalName: 127.0.0.1}\n"
	if err := os.WriteFile(filepath.Join(base, "service.yaml"), []byte(service), 0o600); err != nil {
		t.Fatal(err)
	}
	registration, err := os.ReadFile(filepath.Join(base, "apiservice.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	aimed := strings.Replace(string(registration), "port: 443", fmt.Sprintf("port: %d", in.servicePort), 1)
	if err := os.WriteFile(filepath.Join(base, "apiservice.yaml"), []byte(aimed), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(in.dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(*kubectlPath, filepath.Join(in.dir, "bin", "kubectl")); err != nil {
		t.Fatal(err)
	}
}

// readCertificate reads a file of the cluster's PKI.
func (in *installation) readCertificate(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(in.cluster.CertificatePath(name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}
