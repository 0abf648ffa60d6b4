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

// Package operation tests what an operator sees of the controllers of a whole server: health and metrics. It is a process of its own, whose metrics no
// other test moves.
package operation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"

	"github.com/jobserver-dev/jobserver/pkg/apiserver/controllers"
	"github.com/jobserver-dev/jobserver/pkg/controller/job"
	"github.com/jobserver-dev/jobserver/test/framework"
)

// gate holds back requests for a resource until it is opened.
type gate struct {
	http.RoundTripper
	suffix string
	opened chan struct{}
}

// RoundTrip implements http.RoundTripper.
func (g gate) RoundTrip(request *http.Request) (*http.Response, error) {
	if strings.HasSuffix(request.URL.Path, g.suffix) {
		select {
		case <-g.opened:
		case <-request.Context().Done():
			return nil, request.Context().Err()
		}
	}
	return g.RoundTripper.RoundTrip(request)
}

// TestReadyOnceCachesAreSynced: each controller is ready when its own caches are, and says which one is missing.
func TestReadyOnceCachesAreSynced(t *testing.T) {
	t.Parallel()
	server := framework.Start(t, framework.Options{Controllers: framework.NoControllers()})
	opened := make(chan struct{})
	names := []string{controllers.Job, controllers.TTLAfterFinished, controllers.GarbageCollector, controllers.Namespace, controllers.PodGC}
	manager, err := controllers.NewManager(controllers.Config{
		Names: names,
		JobClient: func(string) *rest.Config {
			config := server.Config()
			config.Wrap(func(next http.RoundTripper) http.RoundTripper { return gate{next, "/jobs", opened} })
			return config
		},
		Identity: job.KubeIdentity(),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var installed genericapiserver.Config
	manager.Install(&installed)
	state := func() map[string]error {
		got := map[string]error{}
		for _, check := range installed.ReadyzChecks {
			got[check.Name()] = check.Check(nil)
		}
		return got
	}
	for name, err := range state() {
		if err == nil || !strings.Contains(err.Error(), "not started") {
			t.Errorf("%s before the start: %v", name, err)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- manager.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the controllers ended: %v", err)
		}
	}()
	framework.Eventually(t, "those that don't watch Jobs are ready", func(context.Context) error {
		got := state()
		return errors.Join(got[controllers.Namespace], got[controllers.PodGC])
	})
	for _, name := range []string{controllers.Job, controllers.TTLAfterFinished, controllers.GarbageCollector} {
		if err := state()[name]; err == nil || !strings.Contains(strings.ToLower(err.Error()), "jobs") {
			t.Errorf("%s, which hasn't seen the Jobs: %v", name, err)
		}
	}

	close(opened)
	framework.Eventually(t, "all are ready", func(context.Context) error {
		got := state()
		if len(got) != len(names) {
			return fmt.Errorf("%d checks, want %d", len(got), len(names))
		}
		for _, err := range got {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// TestReadyzNamesTheControllers: one by one, and none that is switched off.
func TestReadyzNamesTheControllers(t *testing.T) {
	t.Parallel()
	server := framework.Start(t, framework.Options{Controllers: []string{"*", "-node-agent", "-podgc"}})
	answer := string(server.Do(t, framework.Request{Method: http.MethodGet, Path: "/readyz?verbose"}).Body)
	for _, name := range []string{"job-controller", "ttl-after-finished-controller", "garbage-collector-controller", "namespace-controller"} {
		if !strings.Contains(answer, "[+]"+name+" ok\n") {
			t.Errorf("readyz says nothing good of %s:\n%s", name, answer)
		}
		if one := server.Do(t, framework.Request{Method: http.MethodGet, Path: "/readyz/" + name}); one.Code != http.StatusOK {
			t.Errorf("/readyz/%s answers %d: %s", name, one.Code, one.Body)
		}
	}
	for _, name := range []string{"pod-garbage-collector-controller", "node-agent"} {
		if strings.Contains(answer, name) {
			t.Errorf("readyz names %s, which is switched off:\n%s", name, answer)
		}
	}
}
