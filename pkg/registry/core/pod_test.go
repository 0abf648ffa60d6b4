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

package core_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

func TestPodCreateFillsDefaults(t *testing.T) {
	t.Parallel()
	s := newServer(t)

	pod := newPod("a", func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning })
	got := s.createPod(t, pod, "")

	if got.Spec.RestartPolicy != corev1.RestartPolicyAlways || *got.Spec.TerminationGracePeriodSeconds != 30 || got.Spec.SchedulerName != "default-scheduler" {
		t.Errorf("spec isn't defaulted: %+v", got.Spec)
	}
	want := corev1.PodStatus{Phase: corev1.PodPending, QOSClass: corev1.PodQOSBestEffort}
	if diff := cmp.Diff(want, got.Status); diff != "" {
		t.Errorf("status of a new Pod (-want +got):\n%s", diff)
	}
	if got.Generation != 1 {
		t.Errorf("generation %d, want 1", got.Generation)
	}
}

func TestPodIsStoredAsProtobuf(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.createPod(t, newPod("a"), "")

	response, err := s.etcd.Get(t.Context(), "/registry/pods/default/a")
	if err != nil {
		t.Fatal(err)
	}
	if len(response.Kvs) != 1 || !bytes.HasPrefix(response.Kvs[0].Value, []byte("k8s\x00")) {
		t.Fatalf("not one protobuf value: %q", response.Kvs)
	}
	if !bytes.Contains(response.Kvs[0].Value, []byte("\x02v1\x12\x03Pod")) {
		t.Errorf("not stored as v1 Pod: %q", response.Kvs[0].Value)
	}
}

func TestPodCreateRefuses(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for name, tc := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"no containers":   {func(p *corev1.Pod) { p.Spec.Containers = nil }, "spec.containers: Required value"},
		"restartPolicy":   {func(p *corev1.Pod) { p.Spec.RestartPolicy = "Sometimes" }, "spec.restartPolicy: Unsupported value"},
		"duplicate names": {func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, p.Spec.Containers[0]) }, "spec.containers[1].name: Duplicate value"},
	} {
		_, err := s.Pods("default").Create(t.Context(), newPod("a", tc.change), metav1.CreateOptions{})
		t.Log(name)
		wantError(t, err, apierrors.IsInvalid, tc.want)
	}
}

func TestPodUpdateKeepsStatusAndSpecApart(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	pod := s.createPod(t, newPod("a"), "")

	pod.Labels = map[string]string{"x": "y"}
	pod.Status.Phase = corev1.PodFailed
	updated, err := s.Pods("default").Update(t.Context(), pod, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if updated.Status.Phase != corev1.PodPending || updated.Labels["x"] != "y" {
		t.Errorf("update made phase %s and labels %v", updated.Status.Phase, updated.Labels)
	}

	updated.Status.Phase = corev1.PodRunning
	updated.Spec.Containers[0].Image = "other"
	updated.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "o", UID: "1"}}
	status, err := s.Pods("default").UpdateStatus(t.Context(), updated, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if status.Status.Phase != corev1.PodRunning || status.Spec.Containers[0].Image != "busybox" || len(status.OwnerReferences) != 0 {
		t.Errorf("status update made phase %s, image %s, owners %v", status.Status.Phase, status.Spec.Containers[0].Image, status.OwnerReferences)
	}
}

func TestPodUpdateOfImmutableField(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	pod := s.createPod(t, newPod("a"), "")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, err := s.Pods("default").Update(t.Context(), pod, metav1.UpdateOptions{})
	wantError(t, err, apierrors.IsInvalid, "pod updates may not change fields other than")
}

// Ephemeral containers are added by their subresource alone, which changes nothing else, and never go away.
func TestPodEphemeralContainers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	debug := corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: "debug", Image: "none", ImagePullPolicy: corev1.PullIfNotPresent, TerminationMessagePolicy: corev1.TerminationMessageReadFile,
	}}
	_, err := s.Pods("default").Create(t.Context(), newPod("b", func(p *corev1.Pod) { p.Spec.EphemeralContainers = []corev1.EphemeralContainer{debug} }), metav1.CreateOptions{})
	wantError(t, err, apierrors.IsInvalid, "spec.ephemeralContainers: Forbidden")

	pod := s.createPod(t, newPod("a"), "")
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{debug}
	_, err = s.Pods("default").Update(t.Context(), pod, metav1.UpdateOptions{})
	wantError(t, err, apierrors.IsInvalid, "pod updates may not change fields other than")

	pod.Spec.Containers[0].Image, pod.Labels, pod.Status.Phase = "other", map[string]string{"x": "y"}, corev1.PodFailed
	got, err := s.Pods("default").UpdateEphemeralContainers(t.Context(), "a", pod, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Spec.EphemeralContainers) != 1 || got.Generation != 2 || got.Spec.Containers[0].Image != "busybox" || got.Labels["x"] != "" || got.Status.Phase != corev1.PodPending {
		t.Errorf("got generation %d, labels %v, phase %s, spec %+v", got.Generation, got.Labels, got.Status.Phase, got.Spec)
	}

	got.Spec.EphemeralContainers[0].Image = "another"
	_, err = s.Pods("default").UpdateEphemeralContainers(t.Context(), "a", got, metav1.UpdateOptions{})
	wantError(t, err, apierrors.IsInvalid, "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"debug\" may not be changed")
	got.Spec.EphemeralContainers = nil
	_, err = s.Pods("default").UpdateEphemeralContainers(t.Context(), "a", got, metav1.UpdateOptions{})
	wantError(t, err, apierrors.IsInvalid, "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"debug\" may not be removed")

	patch := []byte(`{"spec":{"ephemeralContainers":[{"name":"second","image":"none","targetContainerName":"nobody"}]}}`)
	_, err = s.Pods("default").Patch(t.Context(), "a", types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "ephemeralcontainers")
	wantError(t, err, apierrors.IsInvalid, "spec.ephemeralContainers[0].targetContainerName: Not found")
}

func TestPodStatusPatchDoesNotCreate(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, err := s.Pods("default").Patch(t.Context(), "none", types.MergePatchType, []byte(`{"status":{"phase":"Running"}}`), metav1.PatchOptions{}, "status")
	wantError(t, err, apierrors.IsNotFound, `pods "none" not found`)
}

func TestPodDelete(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for name, tc := range map[string]struct {
		change  func(*corev1.Pod)
		phase   corev1.PodPhase
		options metav1.DeleteOptions
		// wantGrace is the grace period of a Pod that stays; nil where it goes at once.
		wantGrace *int64
	}{
		"bound":               {onNode, corev1.PodRunning, metav1.DeleteOptions{}, new(int64(30))},
		"bound-shorter":       {onNode, corev1.PodRunning, metav1.DeleteOptions{GracePeriodSeconds: new(int64(5))}, new(int64(5))},
		"bound-at-once":       {onNode, corev1.PodRunning, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}, nil},
		"bound-and-succeeded": {onNode, corev1.PodSucceeded, metav1.DeleteOptions{}, nil},
		"bound-and-failed":    {onNode, corev1.PodFailed, metav1.DeleteOptions{}, nil},
		"not-bound":           {func(*corev1.Pod) {}, "", metav1.DeleteOptions{}, nil},
	} {
		s.createPod(t, newPod(name, tc.change), tc.phase)
		if err := s.Pods("default").Delete(t.Context(), name, tc.options); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		pod, err := s.Pods("default").Get(t.Context(), name, metav1.GetOptions{})
		if tc.wantGrace == nil {
			if !apierrors.IsNotFound(err) {
				t.Errorf("%s: still there: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if pod.DeletionTimestamp == nil || !cmp.Equal(pod.DeletionGracePeriodSeconds, tc.wantGrace) {
			t.Errorf("%s: deletionTimestamp %v, grace %v; want grace %d", name, pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds, *tc.wantGrace)
		}
		// The node's own delete ends it.
		if err := s.Pods("default").Delete(t.Context(), name, *metav1.NewDeleteOptions(0)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Pods("default").Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("%s: still there after grace 0: %v", name, err)
		}
	}
}

func TestPodFinalizerHoldsDeletion(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.createPod(t, newPod("a", func(p *corev1.Pod) { p.Finalizers = []string{"batch.kubernetes.io/job-tracking"} }), "")
	if err := s.Pods("default").Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	pod, err := s.Pods("default").Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil || pod.DeletionTimestamp == nil {
		t.Fatalf("a Pod with a finalizer is gone or not marked: %v, %v", pod, err)
	}
	if _, err := s.Pods("default").Patch(t.Context(), "a", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pods("default").Get(t.Context(), "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("still there without finalizers: %v", err)
	}
}

func TestPodFieldSelectors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.createPod(t, newPod("bound", onNode), corev1.PodRunning)
	s.createPod(t, newPod("free"), "")
	for selector, want := range map[string][]string{
		"spec.nodeName=node-1":                {"bound"},
		"spec.nodeName=":                      {"free"},
		"status.phase=Running":                {"bound"},
		"status.phase!=Running":               {"free"},
		"metadata.name=free":                  {"free"},
		"metadata.namespace=default":          {"bound", "free"},
		"spec.restartPolicy=Never":            nil,
		"status.phase=Pending,spec.nodeName=": {"free"},
	} {
		list, err := s.Pods("default").List(t.Context(), metav1.ListOptions{FieldSelector: selector})
		if err != nil {
			t.Errorf("%s: %v", selector, err)
			continue
		}
		var got []string
		for _, p := range list.Items {
			got = append(got, p.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", selector, diff)
		}
	}
	_, err := s.Pods("default").List(t.Context(), metav1.ListOptions{FieldSelector: "spec.hostname=x"})
	wantError(t, err, apierrors.IsBadRequest, "field label not supported: spec.hostname")
}

func TestPodDeleteCollection(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	labelled := func(p *corev1.Pod) { p.Labels = map[string]string{"app": "x"} }
	s.createPod(t, newPod("a", labelled), "")
	s.createPod(t, newPod("b", labelled), "")
	s.createPod(t, newPod("c"), "")
	if err := s.Pods("default").DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app=x"}); err != nil {
		t.Fatal(err)
	}
	list, err := s.Pods("default").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Name != "c" {
		t.Errorf("left over: %v, %v", list.Items, err)
	}
}

func TestPodWatchOfANode(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	w, err := s.Pods("").Watch(t.Context(), metav1.ListOptions{FieldSelector: "spec.nodeName=node-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	s.createPod(t, newPod("free"), "")
	s.createPod(t, newPod("bound"), "")
	if err := s.Pods("default").Bind(t.Context(), newBinding("bound", "node-1"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case event := <-w.ResultChan():
		pod, ok := event.Object.(*corev1.Pod)
		if !ok || event.Type != watch.Added || pod.Name != "bound" {
			t.Errorf("event %s of %v", event.Type, event.Object)
		}
	case <-time.After(30 * time.Second):
		t.Error("no event of the Pod that was bound")
	}
}

func TestPodWarnings(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	pod := newPod("a.b")
	result := s.RESTClient().Post().Namespace("default").Resource("pods").Body(pod).Do(t.Context())
	if err := result.Error(); err != nil {
		t.Fatal(err)
	}
	warnings := result.Warnings()
	if len(warnings) != 1 || !bytes.Contains([]byte(warnings[0].Text), []byte("metadata.name: this is used in the Pod's hostname")) {
		t.Errorf("warnings %v", warnings)
	}
}
