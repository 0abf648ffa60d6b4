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

package integration

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/jobserver-dev/jobserver/pkg/registry/batch/job"
	"github.com/jobserver-dev/jobserver/test/framework"
)

// kindOf is how errors of a group name its Jobs.
func kindOf(resource schema.GroupVersionResource) string {
	return "Job." + resource.Group
}

// TestRestartPolicyIsRequired: the message is upstream's, to the letter, but for the group.
func TestRestartPolicyIsRequired(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		for _, policy := range []string{"Always", ""} {
			template := podTemplate()
			template["spec"].(object)["restartPolicy"] = policy
			_, err := jobsIn(resource, namespace).Create(t.Context(), newJob(resource, "job", object{"template": template}), metav1.CreateOptions{})
			want := kindOf(resource) + ` "job" is invalid: spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"`
			if !apierrors.IsInvalid(err) || err.Error() != want {
				t.Errorf("restartPolicy %q: error %v, want %s", policy, err, want)
			}
		}
	})
}

func TestDefaultsOfEachGroup(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	common := object{
		"parallelism": int64(1), "completions": int64(1), "completionMode": "NonIndexed", "suspend": false,
		"manualSelector": false, "podReplacementPolicy": "TerminatingOrFailed",
	}
	for resource, own := range map[schema.GroupVersionResource]object{
		kubeJobs: {"backoffLimit": int64(6)},
		ourJobs:  {"backoffLimit": int64(4), "disruptionPolicy": "Ignore", "suspendPolicy": "KeepPods"},
	} {
		spec := create(t, namespace, newJob(resource, strings.ReplaceAll(resource.Group, ".", "-"), nil)).Object["spec"].(object)
		template := spec["template"].(object)["spec"].(object)
		if template["terminationGracePeriodSeconds"] != int64(30) || template["dnsPolicy"] != "ClusterFirst" {
			t.Errorf("the Pod template of %s lacks its defaults: %v", resource.Group, template)
		}
		got := maps.Clone(spec)
		delete(got, "template")
		delete(got, "selector")
		want := maps.Clone(common)
		maps.Copy(want, own)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("defaults of %s (-want +got):\n%s", resource.Group, diff)
		}
	}
}

// TestGuideProfile: with the guide's profile a Job made through batch/v1 behaves as one of our group by default.
func TestGuideProfile(t *testing.T) {
	t.Parallel()
	guide := framework.Start(t, framework.Options{Controllers: framework.NoControllers(), BatchV1Profile: job.ProfileGuide})
	namespace := guide.Namespace(t)
	if _, err := guide.Dynamic.Resource(kubeJobs).Namespace(namespace).Create(t.Context(),
		newJob(kubeJobs, "job", object{"parallelism": int64(2)}), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	job, err := guide.Dynamic.Resource(ourJobs).Namespace(namespace).Get(t.Context(), "job", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := policiesOf(job), (policies{Disruption: "Ignore", Suspend: "KeepPods", WorkQueue: "RunUntilDeleted"}); got != want {
		t.Errorf("policies %+v, want %+v", got, want)
	}
}

// TestKubernetesProfile is the default.
func TestKubernetesProfile(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	create(t, namespace, newJob(kubeJobs, "job", object{"parallelism": int64(2)}))
	got, want := policiesOf(get(t, ourJobs, namespace, "job")), policies{Disruption: "Count", Suspend: "DeletePods", WorkQueue: "CompleteOnFirstSuccess"}
	if got != want {
		t.Errorf("policies %+v, want %+v", got, want)
	}
}

func TestSpecAndStatusAreApart(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		sent := newJob(resource, "job", nil)
		sent.Object["status"] = object{"succeeded": int64(1)}
		created := create(t, namespace, sent)
		if got := field(created, "status", "succeeded"); got != nil || created.GetGeneration() != 1 {
			t.Errorf("a new Job has succeeded %v and generation %d, want none and 1", got, created.GetGeneration())
		}

		created.Object["status"] = object{"succeeded": int64(1)}
		set(t, created, int64(4), "spec", "parallelism")
		updated, err := jobsIn(resource, namespace).Update(t.Context(), created, metav1.UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := field(updated, "status", "succeeded"); got != nil || updated.GetGeneration() != 2 {
			t.Errorf("after an update succeeded is %v and generation %d, want none and 2", got, updated.GetGeneration())
		}

		updated.Object["status"] = object{"active": int64(1)}
		set(t, updated, int64(9), "spec", "parallelism")
		updated.SetLabels(map[string]string{"by": "status"})
		updated, err = jobsIn(resource, namespace).UpdateStatus(t.Context(), updated, metav1.UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if field(updated, "status", "active") != int64(1) || field(updated, "spec", "parallelism") != int64(4) ||
			updated.GetGeneration() != 2 || updated.GetLabels()["by"] != "status" {
			t.Errorf("after a status update: %v", updated.Object)
		}
	})
}

func TestImmutableFields(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		create(t, namespace, newJob(resource, "job", nil))
		for path, value := range map[string]any{
			"completions":          int64(2),
			"completionMode":       "Indexed",
			"selector":             object{"matchLabels": object{"a": "b"}},
			"template":             object{"metadata": object{"annotations": object{"a": "b"}}},
			"managedBy":            "example.com/other",
			"podFailurePolicy":     object{"rules": []any{}},
			"successPolicy":        object{"rules": []any{object{"succeededCount": int64(1)}}},
			"backoffLimitPerIndex": int64(1),
		} {
			response := send(t, http.MethodPatch, jobsPath(resource, namespace, "/job"), "application/merge-patch+json", object{"spec": object{path: value}})
			if status := statusOf(t, response); status.Reason != metav1.StatusReasonInvalid || !strings.Contains(status.Message, "spec."+path) {
				t.Errorf("changing %s: %d %s, want one about it", path, response.Code, status.Message)
			}
		}
		for path, value := range map[string]any{
			"parallelism": int64(3), "backoffLimit": int64(1), "suspend": true, "activeDeadlineSeconds": int64(9), "ttlSecondsAfterFinished": int64(9),
		} {
			response := send(t, http.MethodPatch, jobsPath(resource, namespace, "/job"), "application/merge-patch+json", object{"spec": object{path: value}})
			if response.Code != http.StatusOK {
				t.Errorf("changing %s: %d %s", path, response.Code, response.Body)
			}
		}
	})
}

// TestErrorDetails: clients tell errors apart by the details of the Status, and each group shows its own name in them.
func TestErrorDetails(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		create(t, namespace, newJob(resource, "job", nil))
		invalid := newJob(resource, "other", object{"parallelism": int64(-1)})
		for name, test := range map[string]struct {
			response   framework.Response
			wantReason metav1.StatusReason
			wantKind   string
			wantIn     string
		}{
			"not found": {fetch(t, jobsPath(resource, namespace, "/none"), "application/json"), metav1.StatusReasonNotFound, "jobs", `jobs.` + resource.Group + ` "none" not found`},
			"exists": {send(t, http.MethodPost, jobsPath(resource, namespace, ""), "application/json", newJob(resource, "job", nil)),
				metav1.StatusReasonAlreadyExists, "jobs", `jobs.` + resource.Group + ` "job" already exists`},
			"invalid": {send(t, http.MethodPost, jobsPath(resource, namespace, ""), "application/json", invalid),
				metav1.StatusReasonInvalid, "Job", kindOf(resource) + ` "other" is invalid: spec.parallelism`},
			"no namespace": {send(t, http.MethodPost, jobsPath(resource, "nowhere", ""), "application/json", newJob(resource, "job", nil)),
				metav1.StatusReasonNotFound, "namespaces", `namespaces "nowhere" not found`},
		} {
			status := statusOf(t, test.response)
			if status.Reason != test.wantReason || status.Details == nil || status.Details.Kind != test.wantKind || !strings.HasPrefix(status.Message, test.wantIn) {
				t.Errorf("%s: %s %+v %q, want %s of %s %q", name, status.Reason, status.Details, status.Message, test.wantReason, test.wantKind, test.wantIn)
				continue
			}
			if test.wantKind != "namespaces" && status.Details.Group != resource.Group {
				t.Errorf("%s: details of group %q, want %q", name, status.Details.Group, resource.Group)
			}
		}
	})
}

// TestWarnings: a client sees what is questionable about a Job that is stored all the same.
func TestWarnings(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		response := send(t, http.MethodPost, jobsPath(resource, namespace, ""), "application/json", newJob(resource, "a.b", nil))
		if response.Code != http.StatusCreated || !strings.Contains(response.Header.Get("Warning"), "a DNS label is recommended") {
			t.Errorf("answer %d with warnings %q, want one about the name", response.Code, response.Header.Values("Warning"))
		}
	})
}
