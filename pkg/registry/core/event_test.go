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
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/registry/core"
)

func newEvent(name string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: name, Namespace: "default"},
		InvolvedObject: corev1.ObjectReference{APIVersion: "batch/v1", Kind: "Job", Name: "hello", Namespace: "default"},
		Reason:         "Completed", Message: "Job completed", Type: corev1.EventTypeNormal,
		Source: corev1.EventSource{Component: "job-controller"},
	}
}

func TestEventLivesForItsTTL(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ ttl, want time.Duration }{
		"default":    {0, time.Hour},
		"configured": {10 * time.Minute, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, func(c *core.Config) { c.EventTTL = tc.ttl })
			if _, err := s.Events("default").Create(t.Context(), newEvent("e"), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			kv, err := s.etcd.Get(t.Context(), "/registry/events/default/e")
			if err != nil || len(kv.Kvs) != 1 || kv.Kvs[0].Lease == 0 {
				t.Fatalf("event in etcd: %v, %v", kv, err)
			}
			lease, err := s.etcd.TimeToLive(t.Context(), clientv3.LeaseID(kv.Kvs[0].Lease))
			if err != nil {
				t.Fatal(err)
			}
			// Leases are shared by events of about the same time, so one may be granted a little longer.
			if got := time.Duration(lease.GrantedTTL) * time.Second; got < tc.want || got > tc.want+tc.want/10 {
				t.Errorf("granted %s, want %s", got, tc.want)
			}
		})
	}
}

func TestEventSelectorsAndRules(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if _, err := s.Events("default").Create(t.Context(), newEvent("e"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for selector, want := range map[string]int{
		"involvedObject.kind=Job,involvedObject.name=hello":  1,
		"involvedObject.name=other":                          0,
		"reason=Completed,type=Normal,source=job-controller": 1,
	} {
		list, err := s.Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: selector})
		if err != nil || len(list.Items) != want {
			t.Errorf("%s: %d events, %v; want %d", selector, len(list.Items), err, want)
		}
	}

	elsewhere := newEvent("f")
	elsewhere.InvolvedObject.Namespace = "other"
	_, err := s.Events("default").Create(t.Context(), elsewhere, metav1.CreateOptions{})
	wantError(t, err, apierrors.IsInvalid, "involvedObject.namespace: Invalid value")
}
