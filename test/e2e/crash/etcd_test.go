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

package crash

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// etcd is a real etcd on a folder, which servers share. It can be killed and started again.
type etcd struct {
	dir                string
	clientURL, peerURL string
	running            *process
}

// startEtcd starts an etcd that is gone when the test ends.
func startEtcd(t *testing.T, dir string) *etcd {
	t.Helper()
	e := &etcd{dir: dir}
	for _, url := range []*string{&e.clientURL, &e.peerURL} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		*url = "http://" + listener.Addr().String()
		_ = listener.Close() // it was only open
	}
	t.Cleanup(func() {
		if e.running != nil {
			e.running.kill()
		}
	})
	if err := e.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

// start starts it and waits until it answers.
func (e *etcd) start(ctx context.Context) error {
	path, err := filepath.Abs(*etcdPath)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return fmt.Errorf("%w (\"make kubernetes\" builds it)", err)
	}
	e.running, err = startProcess(e.dir+".log", path, "--name=one", "--data-dir="+e.dir, "--listen-client-urls="+e.clientURL, "--advertise-client-urls="+e.clientURL,
		"--listen-peer-urls="+e.peerURL, "--initial-advertise-peer-urls="+e.peerURL, "--initial-cluster=one="+e.peerURL, "--log-level=warn")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, "GET", e.clientURL+"/health", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close() // nothing in it is of interest
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("etcd is not ready after %s: %w", startTimeout, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// TestEtcdOutage takes etcd away while Jobs run, for longer than a leader's lease, and gives it back. Servers heal by themselves.
func TestEtcdOutage(t *testing.T) {
	dir := folder(t)
	e := startEtcd(t, filepath.Join(dir, "etcd"))
	s := testServer(t, filepath.Join(dir, "data"), "--node-name=machine", "--etcd-servers="+e.clientURL)
	if err := s.spawn(); err != nil {
		t.Fatal(err)
	}
	if err := s.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	process := s.process()
	for number := 1; number <= 2; number++ {
		r := &round{endpoint: s, servers: []*server{s}, number: number, dir: filepath.Join(dir, "diaries", fmt.Sprint(number)), jobs: load()}
		outage := func(ctx context.Context, _ <-chan struct{}) error {
			if err := r.underWay(ctx); err != nil {
				return err
			}
			e.running.kill()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(*outage):
			}
			began := time.Now()
			if err := e.start(ctx); err != nil {
				return err
			}
			if err := s.ready(ctx); err != nil {
				return err
			}
			t.Logf("etcd was away for %s; the server was ready %s after it was started again", *outage, time.Since(began).Round(time.Millisecond))
			return nil
		}
		if err := r.run(t.Context(), outage, nil); err != nil {
			t.Fatalf("round %d: %v\nthe server's last words:\n%s", number, err, s.log())
		}
	}
	if s.process() != process {
		t.Error("the server was started again")
	}
}

// underWay waits until the round's Jobs run.
func (r *round) underWay(ctx context.Context) error {
	for _, w := range r.jobs {
		if w.kind == "indexed" {
			return r.diary(w).await(ctx, "start")
		}
	}
	return fmt.Errorf("no Job to wait for")
}
