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

package vanishednamespace

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

// sweep sweeps, which must succeed.
func (e *env) sweep(t *testing.T) {
	t.Helper()
	if err := e.controller.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// uids are the Jobs that are left.
func (e *env) uids(t *testing.T) []string {
	t.Helper()
	list, err := e.jobs.BatchV1().Jobs("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var uids []string
	for _, job := range list.Items {
		uids = append(uids, string(job.UID))
	}
	slices.Sort(uids)
	return uids
}

// remembered is which namespace is remembered under a name; empty where none is.
func (e *env) remembered(t *testing.T, name string) string {
	t.Helper()
	r, err := e.controller.config.Memory.recall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(r.sightings[name].UID)
}

// TestRemade makes a namespace again after a Job of it was seen. between is what happens before the next sweep.
func TestRemade(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		between func(t *testing.T, e *env)
		left    []string
	}{
		"nothing happened": {func(*testing.T, *env) {}, []string{"old"}},
		"it was made again": {func(t *testing.T, e *env) {
			e.namespace(t, "x", "second")
		}, nil},
		"it was made again and has another Job": {func(t *testing.T, e *env) {
			e.namespace(t, "x", "second")
			e.job(t, "x", "other", "new")
		}, []string{"new"}},
		"it was made again and has another Job of the same name": {func(t *testing.T, e *env) {
			e.forgetJob(t, "x", "job")
			e.namespace(t, "x", "second")
			e.job(t, "x", "job", "new")
		}, []string{"new"}},
		"a Job that nobody had seen before it was made again stays": {func(t *testing.T, e *env) {
			e.job(t, "x", "late", "late")
			e.namespace(t, "x", "second")
		}, []string{"late"}},
		"a Job that was changed after it was seen is known all the same": {func(t *testing.T, e *env) {
			e.put(t, jobsPrefix+"x/job", "old")
			e.namespace(t, "x", "second")
		}, nil},
		"somebody accepted restored data": {func(t *testing.T, e *env) {
			e.namespace(t, "x", "second")
			e.forgetAll(t)
		}, []string{"old"}},
		"the data is that of another etcd": {func(t *testing.T, e *env) {
			e.namespace(t, "x", "second")
			r, err := e.controller.config.Memory.recall(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			e.put(t, prefix+"x", fmt.Sprintf(`{"uid": "first", "revision": %d, "etcd": %d}`, r.revision, r.etcd+1))
		}, []string{"old"}},
		"an earlier version wrote the record": {func(t *testing.T, e *env) {
			r, err := e.controller.config.Memory.recall(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			e.namespace(t, "x", "second")
			e.put(t, prefix+"x", fmt.Sprintf(`{"uid":"first","revision":%d,"etcd":%d}`, r.revision, r.etcd))
		}, nil},
		"the record can't be read": {func(t *testing.T, e *env) {
			e.namespace(t, "x", "second")
			e.put(t, prefix+"x", `?`)
		}, []string{"old"}},
		"the namespaces of other names are as they were": {func(t *testing.T, e *env) {
			e.namespace(t, "xy", "third")
			e.job(t, "xy", "job", "neighbour")
			e.namespace(t, "x", "second")
		}, []string{"neighbour"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, nil)
			e.namespace(t, "x", "first")
			e.job(t, "x", "job", "old")
			e.sweep(t)
			if got := e.remembered(t, "x"); got != "first" {
				t.Fatalf("remembers %q", got)
			}
			test.between(t, e)
			e.sweep(t)
			if got := e.uids(t); !slices.Equal(got, test.left) {
				t.Errorf("left are %v, want %v", got, test.left)
			}
			// What is left belongs to the namespace that there is, and stays.
			e.sweep(t)
			if got := e.uids(t); !slices.Equal(got, test.left) {
				t.Errorf("after another sweep left are %v, want %v", got, test.left)
			}
		})
	}
}

// forgetJob removes a Job, as a deletion through the API does.
func (e *env) forgetJob(t *testing.T, namespace, name string) {
	t.Helper()
	if _, err := e.etcd.Delete(t.Context(), jobsPrefix+namespace+"/"+name); err != nil {
		t.Fatal(err)
	}
	if err := e.jobs.BatchV1().Jobs(namespace).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (e *env) forgetAll(t *testing.T) {
	t.Helper()
	r, err := e.controller.config.Memory.recall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name := range maps.Keys(r.modified) {
		if err := r.forget(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMoved: revisions that can't be those of this data claim nothing.
func TestMoved(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	e.namespace(t, "x", "first")
	e.job(t, "x", "job", "old")
	r, err := e.controller.config.Memory.recall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// As keys that were copied from an etcd which had come further.
	e.put(t, prefix+"x", fmt.Sprintf(`{"uid": "another", "revision": %d, "etcd": %d}`, r.revision+1000, r.etcd))
	e.sweep(t)
	if got := e.uids(t); !slices.Equal(got, []string{"old"}) || e.remembered(t, "x") != "first" {
		t.Errorf("left are %v, remembers %q", got, e.remembered(t, "x"))
	}
}

// TestExchanged: what was recalled is not written into data that somebody accepted meanwhile, nor over what another leader wrote.
func TestExchanged(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"the mark": markKey, "the record": prefix + "x"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, nil)
			r, err := e.controller.config.Memory.recall(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			e.put(t, key, "another")
			if err := r.remember(t.Context(), "x", "first"); !errors.Is(err, errMoved) {
				t.Errorf("got %v", err)
			}
			if err := r.forget(t.Context(), "x"); !errors.Is(err, errMoved) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestRemadeTriesAgain: what could not be deleted is not forgotten.
func TestRemadeTriesAgain(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	e.namespace(t, "x", "first")
	e.job(t, "x", "job", "old")
	e.sweep(t)
	e.namespace(t, "x", "second")
	broken := true
	e.jobs.PrependReactor("delete", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) { return broken, nil, errors.New("away") })
	if err := e.controller.sweep(t.Context()); err == nil {
		t.Error("a deletion that failed is no error")
	}
	if got := e.remembered(t, "x"); got != "first" {
		t.Errorf("remembers %q", got)
	}
	broken = false
	e.sweep(t)
	if got := e.uids(t); len(got) > 0 || e.remembered(t, "x") != "second" {
		t.Errorf("left are %v, remembers %q", got, e.remembered(t, "x"))
	}
}

// TestListIsOld: a list that has another UID than the namespace itself counts for nothing.
func TestListIsOld(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	e.namespace(t, "x", "first")
	e.job(t, "x", "job", "old")
	e.sweep(t)
	list, err := e.cluster.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	list.Items[0].UID = "before"
	e.cluster.PrependReactor("list", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) { return true, list, nil })
	e.sweep(t)
	if got := e.uids(t); !slices.Equal(got, []string{"old"}) || e.remembered(t, "x") != "first" {
		t.Errorf("left are %v, remembers %q", got, e.remembered(t, "x"))
	}
}

// TestForgets: a namespace without Jobs is not remembered.
func TestForgets(t *testing.T) {
	t.Parallel()
	e := newEnv(t, []string{"here"}, "here", "gone")
	e.sweep(t)
	e.awaitCache(t, 1)
	e.put(t, prefix+"gone", "?")
	e.sweep(t)
	r, err := e.controller.config.Memory.recall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(maps.Keys(r.modified)); !slices.Equal(got, []string{"here"}) {
		t.Errorf("remembers %v", got)
	}
}

// TestUndeletable: Jobs that the API says not to have, because their namespace is gone, are taken out of etcd; but not those that somebody else has a finalizer on, nor others of
// the same name.
func TestUndeletable(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	stored := map[string]string{"plain": "1", "foreground": "2 foregroundDeletion", "orphan": "3 orphan", "held": "4 foregroundDeletion example.com/held", "another": "5"}
	for name, value := range stored {
		uid, _, _ := strings.Cut(value, " ")
		e.job(t, "gone", name, uid)
		e.put(t, jobsPrefix+"gone/"+name, value)
	}
	e.put(t, jobsPrefix+"gone/another", "6")
	e.put(t, jobsPrefix+"gone-too/plain", "7")
	e.jobs.PrependReactor("delete", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewNotFound(corev1.Resource("namespaces"), "gone")
	})
	e.sweep(t)
	left, err := e.etcd.Get(t.Context(), jobsPrefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, kv := range left.Kvs {
		names = append(names, strings.TrimPrefix(string(kv.Key), jobsPrefix))
	}
	if want := []string{"gone-too/plain", "gone/another", "gone/held"}; !slices.Equal(names, want) {
		t.Errorf("left are %v, want %v", names, want)
	}
	if e.controller.unnoted() {
		t.Error("what nobody can delete is looked at all the time")
	}
}
