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
	"net/http"
	"slices"
	"strings"
	"testing"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// TestOneStoreTwoGroups: what happens to a Job through one group happens in the other, seen by typed clients.
func TestOneStoreTwoGroups(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	kube, ours := server.Kube.BatchV1().Jobs(namespace), server.Jobserver.BatchV1().Jobs(namespace)
	kubeWatch, err := kube.Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer kubeWatch.Stop()
	ourWatch, err := ours.Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer ourWatch.Stop()

	job := &batchv1.Job{}
	job.Name = "job"
	job.Spec.Template = typedTemplate()
	created, err := kube.Create(t.Context(), job, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seen, err := ours.Get(t.Context(), "job", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if seen.UID != created.UID || seen.ResourceVersion != created.ResourceVersion {
		t.Errorf("our group shows %s at %s, batch %s at %s", seen.UID, seen.ResourceVersion, created.UID, created.ResourceVersion)
	}
	expectEvent(t, kubeWatch, watch.Added, created.ResourceVersion)
	expectEvent(t, ourWatch, watch.Added, created.ResourceVersion)

	seen.Spec.Parallelism = new(int32(5))
	updated, err := ours.Update(t.Context(), seen, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	expectEvent(t, kubeWatch, watch.Modified, updated.ResourceVersion)
	expectEvent(t, ourWatch, watch.Modified, updated.ResourceVersion)
	created.Spec.Parallelism = new(int32(6))
	if _, err := kube.Update(t.Context(), created, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("an update of what the other group has changed since: %v, want a conflict", err)
	}

	if err := kube.Delete(t.Context(), "job", metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}); err != nil {
		t.Fatal(err)
	}
	expectEvent(t, kubeWatch, watch.Deleted, "")
	expectEvent(t, ourWatch, watch.Deleted, "")
	if _, err := ours.Get(t.Context(), "job", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("error %v of a Job deleted through the other group, want NotFound", err)
	}
}

// expectEvent reads the next event; a resourceVersion is compared where one is wanted.
func expectEvent(t *testing.T, watcher watch.Interface, wantType watch.EventType, wantVersion string) {
	t.Helper()
	event := nextEvent(t, watcher)
	accessor, ok := event.Object.(metav1.Object)
	if event.Type != wantType || !ok {
		t.Fatalf("event %s of %T, want %s of a Job", event.Type, event.Object, wantType)
	}
	if wantVersion != "" && accessor.GetResourceVersion() != wantVersion {
		t.Fatalf("event %s at %s, want %s", event.Type, accessor.GetResourceVersion(), wantVersion)
	}
}

// TestDefaultPropagation: without a policy batch/v1 keeps the Pods, as it always has, and warns; our group deletes them.
func TestDefaultPropagation(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		for _, collection := range []bool{false, true} {
			create(t, namespace, newJob(resource, "job", nil))
			under := "/job"
			if collection {
				under = ""
			}
			response := send(t, http.MethodDelete, jobsPath(resource, namespace, under), "application/json", nil)
			if response.Code != http.StatusOK {
				t.Fatalf("answer %d: %s", response.Code, response.Body)
			}
			warned := strings.Contains(strings.Join(response.Header.Values("Warning"), "\n"), "child pods are preserved by default")
			if want := resource == kubeJobs; warned != want {
				t.Errorf("warnings %q, want one about the Pods: %v", response.Header.Values("Warning"), want)
			}
			list, err := jobsIn(resource, namespace).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if resource == ourJobs {
				if len(list.Items) > 0 {
					t.Errorf("the Job waits for somebody: finalizers %v", list.Items[0].GetFinalizers())
				}
				continue
			}
			if len(list.Items) != 1 || !slices.Equal(list.Items[0].GetFinalizers(), []string{"orphan"}) {
				t.Fatalf("%d Jobs, want one that waits for its Pods to be orphaned", len(list.Items))
			}
			// As the garbage collector does once it has.
			patch := object{"metadata": object{"finalizers": nil}}
			if response := send(t, http.MethodPatch, jobsPath(resource, namespace, "/job"), "application/merge-patch+json", patch); response.Code != http.StatusOK {
				t.Fatalf("answer %d: %s", response.Code, response.Body)
			}
		}
	})
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	response := fetch(t, "/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
	groups := decode[apidiscovery.APIGroupDiscoveryList](t, response, http.StatusOK)
	inAll := 0
	for _, resource := range []schema.GroupVersionResource{kubeJobs, ourJobs} {
		index := slices.IndexFunc(groups.Items, func(group apidiscovery.APIGroupDiscovery) bool { return group.Name == resource.Group })
		if index < 0 {
			t.Fatalf("%s is not among the groups", resource.Group)
		}
		versions := groups.Items[index].Versions
		if len(versions) != 1 || versions[0].Version != "v1" || len(versions[0].Resources) != 1 {
			t.Fatalf("%s has %+v, want v1 with jobs alone", resource.Group, versions)
		}
		jobs := versions[0].Resources[0]
		if jobs.Resource != "jobs" || jobs.SingularResource != "job" || jobs.Scope != apidiscovery.ScopeNamespace || jobs.ResponseKind.Kind != "Job" {
			t.Errorf("%s serves %+v", resource.Group, jobs)
		}
		wantVerbs := []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
		if verbs := slices.Sorted(slices.Values(jobs.Verbs)); !slices.Equal(verbs, wantVerbs) {
			t.Errorf("%s has the verbs %v, want %v", resource.Group, verbs, wantVerbs)
		}
		if len(jobs.Subresources) != 1 || jobs.Subresources[0].Subresource != "status" ||
			!slices.Equal(slices.Sorted(slices.Values(jobs.Subresources[0].Verbs)), []string{"get", "patch", "update"}) {
			t.Errorf("%s has the subresources %+v, want status with get, patch and update", resource.Group, jobs.Subresources)
		}
		if slices.Contains(jobs.Categories, "all") {
			inAll++
		}
		if want := resource == ourJobs; slices.Contains(jobs.ShortNames, "bj") != want {
			t.Errorf("%s has the short names %v; bj is our group's", resource.Group, jobs.ShortNames)
		}
	}
	if inAll != 1 {
		t.Errorf("%d groups are in the category all: kubectl get all lists each Job so many times", inAll)
	}
}

// TestLegacyDiscovery: older clients read one group at a time.
func TestLegacyDiscovery(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		list, err := server.Kube.Discovery().ServerResourcesForGroupVersion(resource.GroupVersion().String())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, served := range list.APIResources {
			names = append(names, served.Name)
		}
		if slices.Sort(names); !slices.Equal(names, []string{"jobs", "jobs/status"}) {
			t.Errorf("resources %v, want jobs and jobs/status", names)
		}
	})
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	type property struct {
		Enum        []string
		Description string
	}
	type schemas map[string]struct{ Properties map[string]property }
	check := func(t *testing.T, definitions schemas) {
		t.Helper()
		enums := func(definition, name string) []string {
			return slices.Sorted(slices.Values(definitions[definition].Properties[name].Enum))
		}
		for definition, wanted := range map[string]map[string][]string{
			"io.k8s.api.batch.v1.JobSpec": {
				"completionMode": {"Indexed", "NonIndexed"}, "podReplacementPolicy": {"Failed", "TerminatingOrFailed"},
			},
			"dev.jobserver.batch.v1.JobSpec": {
				"completionMode": {"Indexed", "NonIndexed"}, "podReplacementPolicy": {"Failed", "TerminatingOrFailed"},
				"disruptionPolicy": {"Count", "Ignore"}, "suspendPolicy": {"DeletePods", "KeepPods"},
				"workQueuePolicy": {"CompleteOnFirstSuccess", "RunUntilDeleted"},
			},
		} {
			if len(definitions[definition].Properties) == 0 {
				t.Errorf("%s is not described", definition)
				continue
			}
			for name, want := range wanted {
				if got := enums(definition, name); !slices.Equal(got, want) {
					t.Errorf("%s of %s may be %v, want %v", name, definition, got, want)
				}
			}
			for name, described := range definitions[definition].Properties {
				if described.Description == "" {
					t.Errorf("%s of %s has no description", name, definition)
				}
			}
		}
		if _, found := definitions["io.k8s.api.batch.v1.JobSpec"].Properties["disruptionPolicy"]; found {
			t.Error("batch/v1 shows a policy that it doesn't have")
		}
	}
	t.Run("v2", func(t *testing.T) {
		t.Parallel()
		check(t, decode[struct{ Definitions schemas }](t, fetch(t, "/openapi/v2", "application/json"), http.StatusOK).Definitions)
	})
	t.Run("v3", func(t *testing.T) {
		t.Parallel()
		all := schemas{}
		for _, resource := range []schema.GroupVersionResource{kubeJobs, ourJobs} {
			path := "/openapi/v3/apis/" + resource.GroupVersion().String()
			document := decode[struct{ Components struct{ Schemas schemas } }](t, fetch(t, path, "application/json"), http.StatusOK)
			for name, described := range document.Components.Schemas {
				all[name] = described
			}
		}
		check(t, all)
	})
}

// TestSameFieldsInBothGroups: a Job reads the same through both, but for the policies.
func TestSameFieldsInBothGroups(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	create(t, namespace, newJob(kubeJobs, "job", object{
		"completions": int64(3), "parallelism": int64(2), "completionMode": "Indexed", "backoffLimitPerIndex": int64(1),
		"maxFailedIndexes": int64(1), "ttlSecondsAfterFinished": int64(60), "activeDeadlineSeconds": int64(600),
		"podFailurePolicy": object{"rules": []any{object{"action": "FailIndex", "onExitCodes": object{"operator": "In", "values": []any{int64(42)}}}}},
		"successPolicy":    object{"rules": []any{object{"succeededIndexes": "0-1", "succeededCount": int64(1)}}},
	}))
	kube, ours := get(t, kubeJobs, namespace, "job"), get(t, ourJobs, namespace, "job")
	if diff := diffObjects(withoutPolicies(t, ours), kube.Object); diff != "" {
		t.Errorf("the same Job through both groups (-ours +batch):\n%s", diff)
	}
	if got, want := policiesOf(ours), (policies{Disruption: "Count", Suspend: "DeletePods"}); got != want {
		t.Errorf("policies %+v of a Job made through batch/v1, want Kubernetes' %+v", got, want)
	}
	if policiesOf(kube) != (policies{}) {
		t.Error("batch/v1 shows policies")
	}
}
