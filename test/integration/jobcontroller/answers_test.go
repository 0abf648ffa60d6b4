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
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/framework"
)

// TestAnswerToTheRemovalOfTheLastFinalizer: a patch that takes the last finalizer off a Pod that is being deleted is answered by the Pod with the
// version from before, by which a cache can't be asked whether it has seen the patch. The Job controller knows such an answer by the fields that are
// looked at here; the fake API of its tests gives the same.
func TestAnswerToTheRemovalOfTheLastFinalizer(t *testing.T) {
	t.Parallel()
	const finalizer = "example.com/hold"
	pods := server.Kube.CoreV1().Pods(metav1.NamespaceDefault)
	pod, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "held-", Finalizers: []string{finalizer}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "busybox"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := pods.Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	held, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	patch := []byte(`{"metadata":{"uid":"` + string(pod.UID) + `","$deleteFromPrimitiveList/finalizers":["` + finalizer + `"]}}`)
	answer, err := pods.Patch(t.Context(), pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if answer.ResourceVersion != held.ResourceVersion || answer.DeletionTimestamp == nil || ptr.Deref(answer.DeletionGracePeriodSeconds, -1) != 0 ||
		len(answer.Finalizers) > 0 {
		t.Errorf("the answer is %+v, the Pod was %+v", answer.ObjectMeta, held.ObjectMeta)
	}
	if _, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("get the Pod: %v, want that it is gone", err)
	}
}

// lateRemovals stands in front of a server and holds back what watches of Pods tell of removals, and all that follows, until told is closed.
type lateRemovals struct {
	http.RoundTripper
	told chan struct{}
}

func (l *lateRemovals) wrap(next http.RoundTripper) http.RoundTripper {
	l.RoundTripper = next
	return l
}

// RoundTrip implements http.RoundTripper.
func (l *lateRemovals) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := l.RoundTripper.RoundTrip(request)
	if err == nil && strings.HasSuffix(request.URL.Path, "/pods") && request.URL.Query().Get("watch") != "" {
		response.Body = &lateBody{ReadCloser: response.Body, lines: bufio.NewReader(response.Body), told: l.told}
	}
	return response, err
}

// lateBody is the stream of a watch in JSON: each line is an event.
type lateBody struct {
	io.ReadCloser
	lines *bufio.Reader
	rest  []byte
	told  chan struct{}
}

// Read implements io.Reader.
func (b *lateBody) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		line, err := b.lines.ReadBytes('\n')
		if len(line) == 0 {
			return 0, err
		}
		if !bytes.HasPrefix(line, []byte(`{"type":`)) {
			return 0, errors.New("the watch is not in JSON")
		}
		if bytes.HasPrefix(line, []byte(`{"type":"DELETED"`)) {
			<-b.told
		}
		b.rest = line
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// TestRemovalIsToldLate: a Pod that goes with its finalizer counts once, however long the controller's cache still shows it with the finalizer: in a cluster, Jobs
// and Pods are watched on two servers. Its own writes to the Job, and a user's, the controller knows all the while.
func TestRemovalIsToldLate(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int32{"Succeeded": 0, "Failed": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alone, node := apiAlone(t)
			late := &lateRemovals{told: make(chan struct{})}
			config := alone.Config()
			config.ContentType, config.AcceptContentTypes = "application/json", "application/json"
			config.Wrap(late.wrap)
			runController(t, config)
			job := createOn(t, alone, node, sized(1, 3), func(spec *batchv1.JobSpec) { spec.PodReplacementPolicy = new(batchv1.Failed) })
			pod := job.running(1)[0]

			// Without grace, and with the finalizer, it is there until the finalizer goes. A suspended Job makes no Pods, of which the held back
			// watch would not tell.
			job.deletePods(pod)
			node.LetGo(t, pod)
			job.suspend(true)
			suspended := []string{"Suspended True JobSuspended"}
			job.wait(state{Terminating: 1, Conditions: suspended})
			want := state{Succeeded: 1, Conditions: suspended}
			if code == 0 {
				node.Succeed(t, pod)
			} else {
				node.Fail(t, code, pod)
				want.Succeeded, want.Failed = 0, 1
			}
			job.wait(want)
			if job.pod(pod) != nil {
				t.Fatal("the Pod is there still")
			}

			job.suspend(false)
			framework.Eventually(t, "the Job is resumed", func(context.Context) error {
				if got := stateOf(job.get().Status); !slices.Equal(got.Conditions, []string{"Suspended False JobResumed"}) {
					return fmt.Errorf("its status is %+v", got)
				}
				return nil
			})
			if got := stateOf(job.get().Status); got.Succeeded != want.Succeeded || got.Failed != want.Failed || got.Uncounted != 0 {
				t.Errorf("the status is %+v, want %d succeeded and %d failed", got, want.Succeeded, want.Failed)
			}
			close(late.told)
			node.Succeed(t, job.running(1)...)
			job.running(1)
			job.wait(state{Active: 1, Ready: 1, Succeeded: want.Succeeded + 1, Failed: want.Failed, Conditions: []string{"Suspended False JobResumed"}})
		})
	}
}
