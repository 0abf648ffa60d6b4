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
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/jobserver-dev/jobserver/pkg/etcd"
)

func TestDataSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etcd")

	server := start(t, dir)
	if _, err := client(t, server).Put(t.Context(), "key", "value"); err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}

	server = start(t, dir)
	defer stop(t, server)
	got, err := client(t, server).Get(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Kvs) != 1 || string(got.Kvs[0].Value) != "value" {
		t.Errorf("after a restart the key holds %v, want value", got.Kvs)
	}
}

func TestFolderWithALongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40), "etcd")
	server := start(t, dir)
	defer stop(t, server)
	if _, err := client(t, server).Put(t.Context(), "key", "value"); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedFolderIsAnError(t *testing.T) {
	t.Parallel()
	for _, damaged := range []string{"data/member/snap/db", "data/member/wal"} {
		t.Run(filepath.Base(damaged), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "etcd")
			if err := start(t, dir).Stop(); err != nil {
				t.Fatal(err)
			}
			overwrite(t, filepath.Join(dir, damaged))

			server, err := etcd.Start(t.Context(), dir)
			if err == nil {
				stop(t, server)
				t.Fatalf("started on a damaged %s", damaged)
			}
			if !strings.Contains(err.Error(), dir) {
				t.Errorf("error %q does not name the folder", err)
			}
		})
	}
}

func TestMissingLogIsAnError(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etcd")
	if err := start(t, dir).Stop(); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "data", "member", "wal")
	if err := os.RemoveAll(missing); err != nil {
		t.Fatal(err)
	}
	server, err := etcd.Start(t.Context(), dir)
	if err == nil {
		stop(t, server)
		t.Fatal("started without its log")
	}
	if !strings.Contains(err.Error(), missing) {
		t.Errorf("error %q does not name %s", err, missing)
	}
}

func TestUnwritableFolderIsAnError(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if server, err := etcd.Start(t.Context(), filepath.Join(file, "etcd")); err == nil {
		stop(t, server)
		t.Fatal("started in a folder that can't be made")
	}
}

// overwrite replaces the start of a file, or of every file of a folder, with rubbish.
func overwrite(t *testing.T, path string) {
	t.Helper()
	err := filepath.WalkDir(path, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return os.WriteFile(path, []byte(strings.Repeat("rubbish ", 4096)), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, dir string) *etcd.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	server, err := etcd.Start(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func stop(t *testing.T, server *etcd.Server) {
	t.Helper()
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
}

// etcd itself says of a full disk that its log is damaged.
func TestFullDiskIsAnError(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("a small disk takes root: nothing is tested")
		return
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	server, err := etcd.Start(t.Context(), dir)
	if err == nil {
		_ = server.Stop()
		t.Fatal("etcd started on a disk of 1 MiB")
	}
	if !strings.Contains(err.Error(), "the disk of "+dir+" is full, it has 10") {
		t.Errorf("got %v", err)
	}
}

func client(t *testing.T, server *etcd.Server) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   []string{server.Endpoint()},
		DialTimeout: 10 * time.Second,
		DialOptions: []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil && !strings.Contains(err.Error(), "canceled") {
			t.Error(err)
		}
	})
	return client
}
