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
	"strconv"
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
	NewInitializer([]schema.GroupVersionResource{jobs}).Initialize(a.plugin)
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
			if !test.good && !apierrors.IsServerTimeout(err) {
				t.Errorf("want an error that asks to try again, got %v", err)
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
