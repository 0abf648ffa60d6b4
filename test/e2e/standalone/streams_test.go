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
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// podManifest is a Pod of one container, main, that runs a script; spec are further lines of the container.
func podManifest(name, script string, container ...string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 2
  containers:
  - name: main
    image: none
    command: [sh, -c, %q]
%s`, name, script, strings.Join(container, "\n"))
}

// runPod makes a Pod of podManifest and waits until it runs.
func (c *client) runPod(t *testing.T, name, script string, container ...string) {
	t.Helper()
	c.apply(t, podManifest(name, script, container...))
	c.run(t, "wait", "--for=jsonpath={.status.phase}=Running", "--timeout=60s", "pod/"+name)
}

// kubectlExit runs kubectl and returns what it printed and its exit code.
func (c *client) kubectlExit(t *testing.T, environment []string, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	command := exec.Command(*kubectlPath, c.server.kubectlArgs(c.namespace, args...)...)
	command.Env = append(os.Environ(), environment...)
	var out, err strings.Builder
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &out, &err
	var exit *exec.ExitError
	if runErr := command.Run(); runErr != nil && !errors.As(runErr, &exit) {
		t.Fatal(runErr)
	}
	return out.String(), err.String(), command.ProcessState.ExitCode()
}

// protocols are the two ways in which kubectl streams.
var protocols = map[string][]string{
	"WebSocket": nil,
	"SPDY":      {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", "KUBECTL_PORT_FORWARD_WEBSOCKETS=false"},
}

func TestExec(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.runPod(t, "p", "sleep 300", "    env: [{name: COLOR, value: green}]", "    workingDir: /usr")
	for protocol, environment := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := c.kubectlExit(t, environment, "from the client", "exec", "-i", "p", "--",
				"sh", "-c", `cat; echo " $COLOR $PWD"; echo to stderr >&2; exit 42`)
			if stdout != "from the client green /usr\n" || !strings.HasPrefix(stderr, "to stderr\n") || code != 42 {
				t.Errorf("got %q, %q, exit code %d", stdout, stderr, code)
			}
			// More than any buffer holds, both ways.
			data := strings.Repeat("0123456789abcdef", 1<<17)
			stdout, _, code = c.kubectlExit(t, environment, data, "exec", "-i", "p", "--", "cat")
			if stdout != data || code != 0 {
				t.Errorf("of %d bytes %d came back, exit code %d", len(data), len(stdout), code)
			}
			_, stderr, code = c.kubectlExit(t, environment, "", "exec", "p", "--", "no-such-command")
			if code != 1 || !strings.Contains(stderr, `exec: "no-such-command": executable file not found in $PATH`) {
				t.Errorf("a command that isn't there: got %q, exit code %d", stderr, code)
			}
		})
	}
}

// A command of a client that was killed must not go on.
func TestExecClientKilled(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.runPod(t, "p", "sleep 300")
	for protocol, environment := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			mark := newMark()
			command := exec.Command(*kubectlPath, c.server.kubectlArgs(c.namespace, "exec", "p", "--", "sh", "-c", "sleep "+mark+" & wait")...)
			command.Env = append(os.Environ(), environment...)
			client, err := startCommand(command, "")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.kill)
			eventually(t, time.Minute, func() string {
				if len(processesWith(mark)) >= 3 { // kubectl, sh, sleep
					return ""
				}
				return "the command doesn't run"
			})
			client.kill()
			mustNotRun(t, mark)
		})
	}
}

// A command goes with its container.
func TestExecEndsWithContainer(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.runPod(t, "p", "sleep 300")
	mark := newMark()
	client := c.watch(t, "exec", "p", "--", "sleep", mark)
	mustRun(t, mark)
	c.run(t, "delete", "pod", "p", "--grace-period=0", "--force")
	if !client.endsWithin(time.Minute) {
		t.Fatal("kubectl exec goes on without its container")
	}
	mustNotRun(t, mark)
}

func TestExecRefused(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, podManifest("over", "true"))
	c.run(t, "wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", "pod/over")
	for want, args := range map[string][]string{
		"cannot exec into a container in a completed pod": {"exec", "over", "--", "true"},
		`pods "none" not found`:                           {"exec", "none", "--", "true"},
		"cannot attach a container in a completed pod":    {"attach", "over"},
	} {
		if got := c.refused(t, "", args...); !strings.Contains(got, want) {
			t.Errorf("kubectl %q says %q, which does not say %q", args, got, want)
		}
	}
}

func TestExecOnTerminal(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.runPod(t, "p", "sleep 300")
	control, terminal := openTerminal(t)
	command := exec.Command(*kubectlPath, c.server.kubectlArgs(c.namespace, "exec", "-it", "p", "--", "sh", "-c", `tty; stty size; read line; echo "got $line"; exit 5`)...)
	command.Stdin, command.Stdout, command.Stderr = terminal, terminal, terminal
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = terminal.Close()
	var screen output
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&screen, control) // ends with an error where nobody has the terminal open any more
	}()
	sizes := regexp.MustCompile(`/dev/pts/\d+\s+30 100\s`)
	eventually(t, time.Minute, func() string {
		if sizes.MatchString(screen.String()) {
			return ""
		}
		return fmt.Sprintf("no terminal with a size: %q", screen.String())
	})
	if _, err := control.WriteString("typed\r"); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // the exit code is looked at
	<-read
	if !strings.Contains(screen.String(), "got typed") || command.ProcessState.ExitCode() != 5 {
		t.Errorf("the terminal shows %q, exit code %d", screen.String(), command.ProcessState.ExitCode())
	}
}

func TestPortForward(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	// A server on the machine's loopback is what a server in a container is.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the page") }))
	t.Cleanup(server.Close)
	port := server.Listener.Addr().(*net.TCPAddr).Port
	c.runPod(t, "p", "sleep 300")
	forwarded := regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+) ->`)
	for protocol, environment := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			command := exec.Command(*kubectlPath, c.server.kubectlArgs(c.namespace, "port-forward", "pod/p", fmt.Sprintf(":%d", port))...)
			command.Env = append(os.Environ(), environment...)
			client, err := startCommand(command, "")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.kill)
			var address string
			eventually(t, time.Minute, func() string {
				if match := forwarded.FindStringSubmatch(client.stdout.String()); match != nil {
					address = match[1]
					return ""
				}
				return "kubectl says " + client.stdout.String() + client.stderr.String()
			})
			for range 3 { // each a connection of its own
				client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
				response, err := client.Get("http://" + address)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if err != nil || string(body) != "the page" {
					t.Errorf("got %q, error %v", body, err)
				}
			}
		})
	}
}
