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

package standalone_test

import (
	"context"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/jobserver-dev/jobserver/pkg/apiserver/standalone"
)

// The node keeps a Lease, which belongs to its Node and goes with it.
func TestNodeLease(t *testing.T) {
	t.Parallel()
	server := start(t, standalone.Options{DataDir: t.TempDir(), NodeName: "node"})
	defer stop(t, server)
	client := adminClient(t, server)
	leases := client.CoordinationV1().Leases("kube-node-lease")
	owned := func(lease *coordinationv1.Lease) bool {
		node, err := client.CoreV1().Nodes().Get(t.Context(), "node", metav1.GetOptions{})
		return err == nil && len(lease.OwnerReferences) == 1 && lease.OwnerReferences[0].UID == node.UID
	}
	var first *coordinationv1.Lease
	await := func(what string, done func(*coordinationv1.Lease) bool) {
		t.Helper()
		err := wait.PollUntilContextTimeout(t.Context(), interval, timeout, true, func(ctx context.Context) (bool, error) {
			lease, err := leases.Get(ctx, "node", metav1.GetOptions{})
			if err != nil || !done(lease) {
				return false, nil
			}
			first = lease
			return true, nil
		})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	await("the node's Lease", owned)
	if spec := first.Spec; *spec.HolderIdentity != "node" || *spec.LeaseDurationSeconds != 40 || spec.RenewTime == nil {
		t.Errorf("the Lease says %+v", spec)
	}
	old := first
	if err := client.CoreV1().Nodes().Delete(t.Context(), "node", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	err := wait.PollUntilContextTimeout(t.Context(), interval, timeout, true, func(ctx context.Context) (bool, error) {
		lease, err := leases.Get(ctx, "node", metav1.GetOptions{})
		return apierrors.IsNotFound(err) || (err == nil && lease.UID != old.UID), nil
	})
	if err != nil {
		t.Errorf("the Lease has outlived its Node: %v", err)
	}
}

// Clients use leases as in any cluster.
func TestLeases(t *testing.T) {
	t.Parallel()
	server := start(t, standalone.Options{DataDir: t.TempDir()})
	defer stop(t, server)
	client := adminClient(t, server)
	waitReady(t, client)
	leases := client.CoordinationV1().Leases("default")
	made, err := leases.Create(t.Context(), &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: "leader"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("one"), LeaseDurationSeconds: new(int32(15))},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bad := made.DeepCopy()
	bad.Spec.LeaseDurationSeconds = new(int32(0))
	if _, err := leases.Update(t.Context(), bad, metav1.UpdateOptions{}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0") {
		t.Errorf("error %v, want the field refused", err)
	}
	taken := made.DeepCopy()
	taken.Spec.HolderIdentity = new("two")
	if _, err := leases.Update(t.Context(), taken, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	// Who comes later must not take it too.
	if _, err := leases.Update(t.Context(), made, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("error %v, want a conflict", err)
	}
	table, err := client.CoordinationV1().RESTClient().Get().Namespace("default").Resource("leases").
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(t.Context())
	if err != nil || !strings.Contains(string(table), `"cells":["leader","two",`) {
		t.Errorf("the table is %s, error %v", table, err)
	}
}
