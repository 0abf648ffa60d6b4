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

package etcd

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"k8s.io/klog/v2"
)

// makeRoom ends the alarm that a member raises for good when its database has reached its quota, and from which on it takes deletions alone: it drops all earlier
// revisions, gives what is unused in the file back to the disk, and takes writes again where that was enough. Nobody has read the member yet, so no watch
// misses a revision. Where it wasn't enough, or there is no room for the smaller copy of the file, the alarm stays and the log says what to do: a server that can be read,
// and that takes deletions, is the only way out.
func makeRoom(ctx context.Context, member *embed.Etcd, quota int64) error {
	server := member.Server
	raised := false
	for _, alarm := range server.Alarms() {
		raised = raised || alarm.Alarm == pb.AlarmType_NOSPACE
	}
	if !raised {
		return nil
	}
	logger := klog.FromContext(ctx)
	before := server.Backend().Size()
	_, err := server.Compact(ctx, &pb.CompactionRequest{Revision: server.KV().Rev(), Physical: true})
	if err != nil && !errors.Is(err, mvcc.ErrCompacted) {
		return fmt.Errorf("drop earlier revisions of etcd's full database: %w", err)
	}
	if err := server.Defragment(); err != nil {
		logger.Error(err, "etcd's database is full, and could not be made smaller; delete what is not needed, make room on its disk, and start again", "bytes", before, "quota", quota)
		return nil
	}
	after := server.Backend().Size()
	if after >= quota {
		logger.Info("etcd's database is full of what is still there; delete what is not needed, and start again", "bytes", after, "quota", quota)
		return nil
	}
	if _, err := server.Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: uint64(server.MemberID()), Alarm: pb.AlarmType_NOSPACE}); err != nil {
		return fmt.Errorf("end the alarm of etcd's full database: %w", err)
	}
	logger.Info("etcd's database was full; it takes writes again without its earlier revisions", "bytesBefore", before, "bytes", after, "quota", quota)
	return nil
}
