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

package kubelet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	clientspdy "k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
	utilexec "k8s.io/utils/exec"
)

// patience bounds every wait of a test. It is only reached by a test that fails.
const patience = 30 * time.Second

func serveHost(t *testing.T, host *fakeHost) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(NewHandler(host))
	t.Cleanup(server.Close)
	return server
}

// stream connects as an API server does, and returns how the command ended.
func stream(ctx context.Context, t *testing.T, server *httptest.Server, path string, options remotecommand.StreamOptions) error {
	t.Helper()
	location, err := url.Parse(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	executor, err := remotecommand.NewSPDYExecutor(&rest.Config{Host: server.URL}, http.MethodPost, location)
	if err != nil {
		t.Fatal(err)
	}
	return executor.StreamWithContext(ctx, options)
}

func TestExec(t *testing.T) {
	t.Parallel()
	server := serveHost(t, &fakeHost{run: func(_ context.Context, command []string, streams Streams) error {
		input, err := io.ReadAll(streams.Stdin)
		if err != nil {
			return err
		}
		fmt.Fprintf(streams.Stdout, "%q %s", command, input)
		fmt.Fprint(streams.Stderr, "error output")
		return utilexec.CodeExitError{Err: errors.New("command terminated"), Code: 7}
	}})
	for _, path := range []string{"/exec/ns/pod/main", "/exec/ns/pod/uid/main"} {
		var stdout, stderr bytes.Buffer
		err := stream(t.Context(), t, server, path+"?command=a&command=b+c&input=1&output=1&error=1",
			remotecommand.StreamOptions{Stdin: strings.NewReader("input"), Stdout: &stdout, Stderr: &stderr})
		var exit exec.CodeExitError
		if !errors.As(err, &exit) || exit.Code != 7 {
			t.Errorf("%s: got error %v, want exit code 7", path, err)
		}
		if stdout.String() != `["a" "b c"] input` || stderr.String() != "error output" {
			t.Errorf("%s: got %q, %q", path, stdout.String(), stderr.String())
		}
	}
}

func TestExecOnTerminal(t *testing.T) {
	t.Parallel()
	server := serveHost(t, &fakeHost{run: func(_ context.Context, _ []string, streams Streams) error {
		size := <-streams.Resize
		_, err := fmt.Fprintf(streams.Stdout, "terminal: %t, %dx%d, stderr: %t", streams.TTY, size.Width, size.Height, streams.Stderr != nil)
		return err
	}})
	var stdout bytes.Buffer
	err := stream(t.Context(), t, server, "/exec/ns/pod/main?command=sh&output=1&tty=1",
		remotecommand.StreamOptions{Stdout: &stdout, Tty: true, TerminalSizeQueue: &oneSize{size: &remotecommand.TerminalSize{Width: 80, Height: 24}}})
	if err != nil || stdout.String() != "terminal: true, 80x24, stderr: false" {
		t.Errorf("got %q, error %v", stdout.String(), err)
	}
}

// oneSize is a terminal that never changes its size.
type oneSize struct{ size *remotecommand.TerminalSize }

func (q *oneSize) Next() *remotecommand.TerminalSize {
	size := q.size
	q.size = nil
	return size
}

// A command must not outlive the client that asked for it, even if it says nothing.
func TestClientGone(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/exec/ns/pod/main?command=sleep&output=1", "/attach/ns/pod/main?output=1"} {
		running, ended := make(chan struct{}), make(chan error, 1)
		server := serveHost(t, &fakeHost{run: func(ctx context.Context, _ []string, _ Streams) error {
			close(running)
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return context.Cause(ctx)
		}})
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			<-running
			leave()
		}()
		if err := stream(ctx, t, server, path, remotecommand.StreamOptions{Stdout: io.Discard}); err == nil {
			t.Errorf("%s: the client saw an end", path)
		}
		select {
		case err := <-ended:
			if err == nil || err.Error() != "the client is gone" {
				t.Errorf("%s: the command was told %v", path, err)
			}
		case <-time.After(patience):
			t.Errorf("%s: the command was not told that the client is gone", path)
		}
	}
}

func TestRefusedStreams(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		path     string
		err      error
		wantCode int
		wantBody string
	}{
		"no stream":          {path: "/exec/ns/pod/main?command=a", wantCode: 400, wantBody: "you must specify at least 1 of stdin, stdout, stderr"},
		"no command":         {path: "/exec/ns/pod/main?output=1", wantCode: 400, wantBody: "you must specify the command"},
		"other pod":          {path: "/exec/ns/other/main?command=a&output=1", wantCode: 404, wantBody: `pod "other" does not exist`},
		"earlier pod":        {path: "/exec/ns/pod/earlier/main?command=a&output=1", wantCode: 404, wantBody: `pod "pod" does not have the UID "earlier"`},
		"not running":        {path: "/exec/ns/pod/main?command=a&output=1", err: errors.New("container not found"), wantCode: 500, wantBody: "container not found"},
		"attach, no stream":  {path: "/attach/ns/pod/main", wantCode: 400, wantBody: "you must specify at least 1 of"},
		"attach, not there":  {path: "/attach/ns/pod/main?output=1", err: errors.New("container not found"), wantCode: 500, wantBody: "container not found"},
		"forward, other pod": {path: "/portForward/ns/other", wantCode: 404, wantBody: `pod "other" does not exist`},
		"forward, not there": {path: "/portForward/ns/pod", err: errors.New("not running"), wantCode: 500, wantBody: "not running"},
		"no upgrade":         {path: "/exec/ns/pod/main?command=a&output=1", wantCode: 400, wantBody: "unable to upgrade"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, body := get(NewHandler(&fakeHost{err: test.err}), test.path)
			if code != test.wantCode || !strings.Contains(body, test.wantBody) {
				t.Errorf("got %d, %q, want %d, %q", code, body, test.wantCode, test.wantBody)
			}
		})
	}
}

func TestPortForward(t *testing.T) {
	t.Parallel()
	server := serveHost(t, &fakeHost{})
	roundTripper, upgrader, err := clientspdy.RoundTripperFor(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	location, err := url.Parse(server.URL + "/portForward/ns/pod")
	if err != nil {
		t.Fatal(err)
	}
	stop, ready := make(chan struct{}), make(chan struct{})
	defer close(stop)
	forwarder, err := portforward.New(clientspdy.NewDialer(upgrader, &http.Client{Transport: roundTripper}, http.MethodPost, location),
		[]string{"0:8080"}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = forwarder.ForwardPorts() }() // its error says that stop was closed
	<-ready
	ports, err := forwarder.GetPorts()
	if err != nil {
		t.Fatal(err)
	}
	response, err := readAll(fmt.Sprintf("127.0.0.1:%d", ports[0].Local))
	if err != nil || response != "port 8080" {
		t.Errorf("got %q, error %v", response, err)
	}
}

// readAll reads what a server says.
func readAll(address string) (string, error) {
	connection, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	data, err := io.ReadAll(connection)
	return string(data), err
}
