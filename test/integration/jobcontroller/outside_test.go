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

package jobcontroller

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/jobserver-dev/jobserver/pkg/controller/job"
	"github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned"
	"github.com/jobserver-dev/jobserver/pkg/generated/informers/externalversions"
	"github.com/jobserver-dev/jobserver/test/framework"
)

// runController runs the Job controller alone, as a program elsewhere would: on a server that it knows by a client configuration.
func runController(t *testing.T, config *rest.Config) {
	t.Helper()
	jobClient, err := versioned.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	podClient, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	jobs := externalversions.NewSharedInformerFactory(jobClient, 0)
	pods := informers.NewSharedInformerFactoryWithOptions(podClient, 0, informers.WithTransform(job.TrimPod))
	ctx, cancel := context.WithCancel(t.Context())
	controller, err := job.New(ctx, job.Config{
		JobClient: jobClient, PodClient: podClient,
		Jobs: jobs.Batch().V1().Jobs(), Pods: pods.Core().V1().Pods(),
		Identity: job.KubeIdentity(),
	})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	jobs.Start(ctx.Done())
	pods.Start(ctx.Done())
	ended := make(chan error, 1)
	go func() { ended <- controller.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the controller ended: %v", err)
		}
		jobs.Shutdown()
		pods.Shutdown()
	})
	framework.Eventually(t, "the controller is ready", func(context.Context) error { return controller.Ready() })
}

// apiAlone starts a server without controllers, for Jobs that one elsewhere works on.
func apiAlone(t *testing.T) (*framework.Server, *framework.Kubelet) {
	t.Helper()
	alone := framework.Start(t, framework.Options{Controllers: framework.NoControllers()})
	node, err := alone.Kubelet(t.Context(), "node")
	if err != nil {
		t.Fatal(err)
	}
	return alone, node
}

func createOn(t *testing.T, on *framework.Server, node *framework.Kubelet, changes ...func(*batchv1.JobSpec)) *testJob {
	t.Helper()
	created, err := on.Kube.BatchV1().Jobs(metav1.NamespaceDefault).Create(t.Context(), newJob(changes...), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &testJob{t: t, server: on, kubelet: node, namespace: created.Namespace, name: created.Name, uid: string(created.UID)}
}

// TestControllerElsewhere: the controller needs nothing of the process that serves the API.
func TestControllerElsewhere(t *testing.T) {
	t.Parallel()
	alone, node := apiAlone(t)
	job := createOn(t, alone, node, sized(2, 2))
	runController(t, alone.Config())
	node.Succeed(t, job.running(2)...)
	job.wait(state{Succeeded: 2, Conditions: complete("CompletionsReached")})
}

// quota stands in front of a server and refuses Pods, as an admission plugin of a cluster does.
type quota struct {
	http.RoundTripper
	mu      sync.Mutex
	full    bool
	refused []time.Time
}

func (q *quota) wrap(next http.RoundTripper) http.RoundTripper {
	q.RoundTripper = next
	return q
}

// RoundTrip implements http.RoundTripper.
func (q *quota) RoundTrip(request *http.Request) (*http.Response, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.full || request.Method != http.MethodPost || !strings.HasSuffix(request.URL.Path, "/pods") {
		return q.RoundTripper.RoundTrip(request)
	}
	q.refused = append(q.refused, time.Now())
	body, err := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusForbidden,
		Reason: metav1.StatusReasonForbidden, Message: `pods "work" is forbidden: exceeded quota: compute`,
	})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(body)), Request: request,
	}, nil
}

func (q *quota) attempts() []time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]time.Time(nil), q.refused...)
}

func (q *quota) fill(full bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.full = full
}

// TestQuota: Pods that are refused are told of, tried again one at a time with growing delays, and made once there is room.
func TestQuota(t *testing.T) {
	t.Parallel()
	alone, node := apiAlone(t)
	limit := &quota{full: true}
	config := alone.Config()
	config.Wrap(limit.wrap)
	runController(t, config)
	job := createOn(t, alone, node, sized(5, 5))

	framework.Eventually(t, "three Pods have been refused", func(context.Context) error {
		if n := len(limit.attempts()); n < 3 {
			return fmt.Errorf("%d have", n)
		}
		return nil
	})
	attempts := limit.attempts()
	for i, least := range []time.Duration{time.Second, 2 * time.Second} {
		if waited := attempts[i+1].Sub(attempts[i]); waited < least {
			t.Errorf("attempt %d came %v after the one before, want at least %v", i+2, waited, least)
		}
	}
	job.wait(state{})
	framework.Eventually(t, "the refusal is an event", func(ctx context.Context) error {
		list, err := alone.Kube.CoreV1().Events(job.namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + job.uid})
		if err != nil {
			return err
		}
		for _, event := range list.Items {
			if event.Reason == "FailedCreate" && event.Type == "Warning" && strings.Contains(event.Message, "Error creating: ") && strings.Contains(event.Message, "exceeded quota: compute") {
				return nil
			}
		}
		return fmt.Errorf("it is none of %+v", list.Items)
	})

	limit.fill(false)
	node.Succeed(t, job.running(5)...)
	job.wait(state{Succeeded: 5, Conditions: complete("CompletionsReached")})
}
