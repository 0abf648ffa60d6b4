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

package quota

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/resourcequota"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

var jobs = schema.GroupVersionResource{Group: "batch.jobserver.dev", Version: "v1", Resource: "jobs"}

// account is a cluster with one quota, whose status is written by others the first times that the plugin tries to.
type account struct {
	plugin  *plugin
	cluster *fake.Clientset
	writes  int
	// stored is how many Jobs there are, whatever the quota's status says.
	stored     int64
	storageErr error
}

func newAccount(t *testing.T, hard string, conflicts int) *account {
	t.Helper()
	counted := corev1.ResourceName("count/jobs.batch.jobserver.dev")
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "few", ResourceVersion: "1"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{counted: resource.MustParse(hard)}},
		Status: corev1.ResourceQuotaStatus{
			Hard: corev1.ResourceList{counted: resource.MustParse(hard)}, Used: corev1.ResourceList{counted: resource.MustParse("0")},
		},
	}
	a := &account{cluster: fake.NewClientset(quota)}
	a.cluster.PrependReactor("update", "resourcequotas", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if a.writes++; a.writes <= conflicts {
			return true, nil, apierrors.NewConflict(corev1.Resource("resourcequotas"), "few", errors.New("the object has been modified"))
		}
		// As a real API server does: whoever compares knows which is newer.
		action.(clienttesting.UpdateAction).GetObject().(*corev1.ResourceQuota).ResourceVersion = strconv.Itoa(1 + a.writes)
		return false, nil, nil
	})
	base, err := resourcequota.NewResourceQuota(nil, evaluators)
	if err != nil {
		t.Fatal(err)
	}
	a.plugin = &plugin{QuotaAdmission: base}
	factory := informers.NewSharedInformerFactory(a.cluster, 0)
	a.plugin.SetExternalKubeClientSet(a.cluster)
	a.plugin.SetExternalKubeInformerFactory(factory)
	ctx, cancel := context.WithCancel(t.Context())
	a.plugin.SetDrainedNotification(ctx.Done())
	NewInitializer(Config{
		Resources: []schema.GroupVersionResource{jobs},
		CountStored: func(_ context.Context, namespace string) (int64, error) {
			if namespace != "default" {
				return 0, fmt.Errorf("asked about namespace %s", namespace)
			}
			return a.stored, a.storageErr
		},
	}).Initialize(a.plugin)
	if err := a.plugin.ValidateInitialization(); err != nil {
		t.Fatal(err)
	}
	factory.StartWithContext(ctx)
	factory.WaitForCacheSyncWithContext(ctx)
	t.Cleanup(func() {
		cancel()
		factory.Shutdown()
	})
	return a
}

// create asks whether a Job may be created.
func (a *account) create(t *testing.T, name string) error {
	t.Helper()
	job := &batch.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	attributes := admission.NewAttributesRecord(job, nil, jobs.GroupVersion().WithKind("Job"), "default", name, jobs, "", admission.Create,
		&metav1.CreateOptions{}, false, &user.DefaultInfo{Name: "somebody"})
	return a.plugin.Validate(t.Context(), attributes, nil)
}

// TestBusyAccount: that others write the account is no reason to refuse a Job. Only where they never stop the user is asked to try again.
func TestBusyAccount(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		conflicts int
		good      bool
	}{{"nobody else", 0, true}, {"some others", 6, true}, {"others all the time", 1 << 30, false}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t, "5", test.conflicts)
			err := a.create(t, "job")
			if test.good && err != nil {
				t.Errorf("refused after %d tries: %v", a.writes, err)
			}
			if !test.good && (!apierrors.IsServerTimeout(err) || !strings.Contains(err.Error(), "the object has been modified")) {
				t.Errorf("want an error that asks to try again and says why, got %v", err)
			}
		})
	}
}

// TestLimit: a Job beyond the limit is refused at once, and the user is told by which quota.
func TestLimit(t *testing.T) {
	t.Parallel()
	a := newAccount(t, "1", 2)
	if err := a.create(t, "first"); err != nil {
		t.Fatal(err)
	}
	if err := a.create(t, "second"); !apierrors.IsForbidden(err) {
		t.Errorf("got %v", err)
	}
}

// TestStored: where the account is too low, the Jobs that are stored count.
func TestStored(t *testing.T) {
	t.Parallel()
	const refusal = "exceeded quota: few, requested: count/jobs.batch.jobserver.dev=1, used: count/jobs.batch.jobserver.dev=%d, limited: count/jobs.batch.jobserver.dev=3"
	for _, test := range []struct {
		name   string
		stored int64
		err    error
		want   string
	}{
		{name: "room for one", stored: 2},
		{name: "as many as allowed", stored: 3, want: fmt.Sprintf(refusal, 3)},
		{name: "more than allowed", stored: 7, want: fmt.Sprintf(refusal, 7)},
		{name: "not known", err: errors.New("no answer"), want: "count the Jobs of namespace default: no answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t, "3", 0)
			a.stored, a.storageErr = test.stored, test.err
			err := a.create(t, "job")
			if test.want == "" {
				if err != nil || a.writes != 1 {
					t.Errorf("%d charges, %v", a.writes, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || apierrors.IsForbidden(err) != (test.err == nil) {
				t.Errorf("got %v", err)
			}
			if a.writes != 0 {
				t.Error("a Job that was refused is charged")
			}
		})
	}
}

// TestLowestLimit finds the quota that allows least among those that count Jobs.
func TestLowestLimit(t *testing.T) {
	t.Parallel()
	const counted = "count/jobs.batch.jobserver.dev"
	quota := func(name, resourceName, hard string, change ...func(*corev1.ResourceQuota)) *corev1.ResourceQuota {
		made := &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Status:     corev1.ResourceQuotaStatus{Hard: corev1.ResourceList{corev1.ResourceName(resourceName): resource.MustParse(hard)}},
		}
		for _, f := range change {
			f(made)
		}
		return made
	}
	scoped := func(q *corev1.ResourceQuota) {
		q.Spec.Scopes = []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort}
	}
	selected := func(q *corev1.ResourceQuota) { q.Spec.ScopeSelector = &corev1.ScopeSelector{} }
	for _, test := range []struct {
		name       string
		quotas     []*corev1.ResourceQuota
		want, hard string
	}{
		{name: "none", hard: "0"},
		{name: "of other things", quotas: []*corev1.ResourceQuota{quota("pods", "pods", "1"), quota("theirs", "count/jobs.batch", "1")}, hard: "0"},
		{name: "scoped", quotas: []*corev1.ResourceQuota{quota("a", counted, "1", scoped), quota("b", counted, "2", selected)}, hard: "0"},
		{name: "the lower of two", quotas: []*corev1.ResourceQuota{quota("a", counted, "5"), quota("b", counted, "2"), quota("c", counted, "1k")}, want: "b", hard: "2"},
		{name: "none allowed", quotas: []*corev1.ResourceQuota{quota("a", counted, "0")}, want: "a", hard: "0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if lowest, name := lowestLimit(test.quotas, counted); name != test.want || lowest.String() != test.hard {
				t.Errorf("%s of quota %q, want %s of %q", lowest.String(), name, test.hard, test.want)
			}
		})
	}
}
