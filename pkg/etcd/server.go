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

// Package etcd runs an etcd member inside the server's process, for those who have no etcd of their own.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

const (
	// memberName is etcd's name for the one member. It is part of the stored data: changing it orphans existing data.
	memberName = "jobserver"

	// tick and election make the member elect itself in a tenth of a second at start. etcd's defaults, made for members in
	// different data centres, take a second.
	tickMilliseconds     = 10
	electionMilliseconds = 100

	// startTimeout bounds a start. One that replays a long log after a crash takes seconds.
	startTimeout = time.Minute

	// quotaBytes is where etcd stops to accept writes: its own recommended maximum, four times its default.
	quotaBytes = 8 << 30

	// catchUpEntries is how many of the last writes stay in memory for members that lag behind. There are none; etcd's default is 5,000, which
	// are some 20 MB where they write Pods.
	catchUpEntries = 100

	// progressInterval is how often a watch without events learns the current revision. The API server's watch cache needs it to
	// serve consistent reads, with the interval that Kubernetes recommends.
	progressInterval = 5 * time.Second
)

// Server is a running etcd member.
type Server struct {
	etcd      *embed.Etcd
	endpoint  string
	closeLogs func() error
	failure   *failure
}

// Start runs a single member on dir, which is created where it is missing, and returns once it serves. Clients reach it through
// a Unix socket in dir only, so that the permissions of the folder protect it. All writes are synced to disk.
//
// It outlives ctx, which only bounds the start: etcd has to be the last part of a server to stop. Stop ends it.
//
// A damaged folder, which etcd answers with a panic, is an error. A database that had reached its maximum of 8 GiB, so that etcd refused all writes, is made smaller,
// see makeRoom.
func Start(ctx context.Context, dir string) (*Server, error) { return start(ctx, dir, quotaBytes) }

func start(ctx context.Context, dir string, quota int64) (server *Server, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create etcd folder: %w", err)
	}
	failure := newFailure(dir)
	logger, closeLogs, err := newLogger(filepath.Join(dir, "etcd.log"), failure)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeLogs())
		}
	}()

	if err := checkRoom(dir); err != nil {
		return nil, err
	}
	if err := checkData(filepath.Join(dir, "data", "member")); err != nil {
		return nil, err
	}
	client, peer, err := sockets(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %s", startTimeout))
	defer cancel()
	member, err := failure.open(config(dir, client, peer, logger, quota))
	if err != nil {
		return nil, err
	}
	go forward(member.Err(), failure)
	select {
	case <-member.Server.ReadyNotify():
		if err := makeRoom(ctx, member, quota); err != nil {
			failure.close(member)
			return nil, err
		}
		return &Server{etcd: member, endpoint: client.String(), closeLogs: closeLogs, failure: failure}, nil
	case err := <-failure.told:
		failure.close(member)
		return nil, fmt.Errorf("start etcd in %s: %w", dir, err)
	case <-ctx.Done():
		failure.close(member)
		return nil, fmt.Errorf("start etcd in %s: %w", dir, context.Cause(ctx))
	}
}

// forward hands on what the member says itself, until it is closed.
func forward(errs <-chan error, failure *failure) {
	for err := range errs {
		failure.tell(err)
	}
}

// minRoom is how much of its disk etcd must find free to begin. On a fuller one it can't write, and calls its log damaged, which it isn't.
const minRoom = 4 << 20

// checkRoom tells whether etcd can write at all.
func checkRoom(dir string) error {
	left, err := room(dir)
	if err != nil {
		return err
	}
	if left < minRoom {
		return fmt.Errorf("the disk of %s is full, it has %d KiB left: etcd needs %d MiB to start. Nothing is lost; make room and start again", dir, left>>10, minRoom>>20)
	}
	return nil
}

// checkData looks for damage that etcd itself answers with silence or the end of the process. A database without its log makes it wait for
// ever for a leader. A database that isn't one makes it panic on a goroutine of its own, which nothing could turn into an error.
func checkData(member string) error {
	path := filepath.Join(member, "snap", "db")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if logs, err := filepath.Glob(filepath.Join(member, "wal", "*.wal")); err != nil || len(logs) == 0 {
		return fmt.Errorf("etcd's write-ahead log is missing: no file %s", filepath.Join(member, "wal", "*.wal"))
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return fmt.Errorf("open etcd database %s: %w", path, err)
	}
	return db.Close()
}

func config(dir string, client, peer *url.URL, logger *zap.Logger, quota int64) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name = memberName
	cfg.Dir = filepath.Join(dir, "data")
	cfg.ListenClientUrls = []url.URL{*client}
	cfg.AdvertiseClientUrls = []url.URL{*client}
	cfg.ListenPeerUrls = []url.URL{*peer}
	// The advertised address of the one member is stored but never dialled. It must not change with the folder.
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "localhost:2380"}}
	cfg.InitialCluster = cfg.InitialClusterFromName(memberName)
	cfg.TickMs = tickMilliseconds
	cfg.ElectionMs = electionMilliseconds
	cfg.QuotaBackendBytes = quota
	cfg.SnapshotCatchUpEntries = catchUpEntries
	cfg.WatchProgressNotifyInterval = progressInterval
	cfg.EnableGRPCGateway = false
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(logger)
	return cfg
}

// Endpoint is the address for an etcd client, such as unix:///var/lib/jobserver/etcd/client.sock.
func (s *Server) Endpoint() string {
	return s.endpoint
}

// Err delivers the error that ends the member while it runs. The disk is full, most likely: then it says so. Nothing that was acknowledged is lost, but the
// process has to end: nobody gets an answer from the member any more.
func (s *Server) Err() <-chan error {
	return s.failure.told
}

// Stop ends the member. Everything acknowledged is on disk. One that has failed stays as it is until the process ends.
func (s *Server) Stop() error {
	s.failure.close(s.etcd)
	return s.closeLogs()
}
