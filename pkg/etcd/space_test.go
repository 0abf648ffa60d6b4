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

package etcd_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/jobserver-dev/jobserver/pkg/etcd"
)

const (
	// quota is what a test fills in a moment, with some forty values.
	quota      = 4 << 20
	largeValue = 100 << 10
)

func startSmall(t *testing.T, dir string) (*etcd.Server, *clientv3.Client) {
	t.Helper()
	server, err := etcd.StartWithQuota(t.Context(), dir, quota)
	if err != nil {
		t.Fatal(err)
	}
	return server, client(t, server)
}

// fill writes large values until the member refuses one.
func fill(t *testing.T, client *clientv3.Client, key func(i int) string) {
	t.Helper()
	for i := range 1000 {
		_, err := client.Put(t.Context(), key(i), strings.Repeat("x", largeValue))
		if errors.Is(err, rpctypes.ErrNoSpace) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the quota binds nothing")
}

func mustRefuse(t *testing.T, client *clientv3.Client, when string) {
	t.Helper()
	if _, err := client.Put(t.Context(), "small", "value"); !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Fatalf("%s, a write: got %v, want %v", when, err, rpctypes.ErrNoSpace)
	}
}

// The alarm of a member whose quota is used up by earlier revisions ends with the next start, and what is written last is there.
func TestDatabaseFullOfHistoryHealsItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, c := startSmall(t, dir)
	if _, err := c.Put(t.Context(), "kept", "value"); err != nil {
		t.Fatal(err)
	}
	fill(t, c, func(int) string { return "same" })
	mustRefuse(t, c, "with a full database")
	stop(t, server)

	server, c = startSmall(t, dir)
	defer stop(t, server)
	if _, err := c.Put(t.Context(), "small", "value"); err != nil {
		t.Fatalf("after a restart, a write: %v", err)
	}
	kept, err := c.Get(t.Context(), "kept")
	if err != nil || len(kept.Kvs) != 1 {
		t.Errorf("what was written first: %v, %v", kept, err)
	}
	same, err := c.Get(t.Context(), "same")
	if err != nil || len(same.Kvs) != 1 || len(same.Kvs[0].Value) != largeValue {
		t.Errorf("what was written last is not there: %v", err)
	}
	alarms, err := c.AlarmList(t.Context())
	if err != nil || len(alarms.Alarms) != 0 {
		t.Errorf("alarms %v, %v", alarms, err)
	}
}

// A database full of what is still there can be read, takes deletions, and takes writes once enough was deleted.
func TestDatabaseFullOfObjectsTakesDeletions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// Half as much again as the quota, so that no copy of it fits.
	server, err := etcd.StartWithQuota(t.Context(), dir, 4*quota)
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, server)
	for i := range quota * 3 / 2 / largeValue {
		if _, err := c.Put(t.Context(), fmt.Sprintf("key-%d", i), strings.Repeat("x", largeValue)); err != nil {
			t.Fatal(err)
		}
	}
	stop(t, server)

	server, c = startSmall(t, dir)
	mustRefuse(t, c, "with too small a quota") // and from here on there is an alarm
	stop(t, server)

	server, c = startSmall(t, dir)
	mustRefuse(t, c, "after a restart that could not help")
	deleted, err := c.Delete(t.Context(), "key-", clientv3.WithPrefix())
	if err != nil || deleted.Deleted < 10 {
		t.Fatalf("deleted %v, %v", deleted, err)
	}
	stop(t, server)

	server, c = startSmall(t, dir)
	defer stop(t, server)
	if _, err := c.Put(t.Context(), "small", "value"); err != nil {
		t.Errorf("after the deletion and a restart, a write: %v", err)
	}
}
