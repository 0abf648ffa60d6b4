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

package lineage

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
)

// maxAttempts is how often a write may lose against another replica.
const maxAttempts = 5

// errRace says that another replica was faster.
var errRace = errors.New("another replica has written the mark in etcd meanwhile")

// Wait returns once the data in etcd may be served. Whatever stands against that is logged, once, and told to say. The error is that of ctx.
func (k *Keeper) Wait(ctx context.Context, say func(error)) error {
	last := ""
	for {
		err := k.Check(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err.Error() != last && !errors.Is(err, errRace) {
			last = err.Error()
			klog.FromContext(ctx).Error(err, "Waiting for data that may be served")
			say(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(acceptPeriod):
		}
	}
}

// Run raises the mark while there are writes, until ctx ends. It returns ErrRestored, wrapped, when the data has been exchanged: whoever
// serves it must end.
func (k *Keeper) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	last := ""
	wait.JitterUntilWithContext(ctx, func(ctx context.Context) {
		err := k.raise(ctx)
		switch {
		case err == nil:
			last = ""
		case errors.Is(err, ErrRestored):
			cancel(err)
		case ctx.Err() == nil && !errors.Is(err, errRace) && err.Error() != last:
			last = err.Error()
			klog.FromContext(ctx).Info("Failed to mark how far the data has come, trying again", "err", err)
		}
	}, checkPeriod, 0.2, true)
	if cause := context.Cause(ctx); errors.Is(cause, ErrRestored) {
		return cause
	}
	return nil
}

// Verify returns nil where etcd has the data that was found good, ErrRestored, wrapped, where it has other data, and another error where it does not answer.
// It costs one read of etcd.
func (k *Keeper) Verify(ctx context.Context) error {
	_, err := k.verify(ctx)
	return err
}

func (k *Keeper) verify(ctx context.Context) (stored, error) {
	k.mu.Lock()
	last := *k.last
	k.mu.Unlock()
	found, err := k.get(ctx)
	switch {
	case err != nil:
		return stored{}, err
	case found.mark == nil:
		return stored{}, fmt.Errorf("%w: it has no mark any more", ErrRestored)
	case found.mark.Storage != last.Storage:
		return stored{}, fmt.Errorf("%w: it is that of another storage", ErrRestored)
	case found.mark.Generation < last.Generation:
		return stored{}, fmt.Errorf("%w: it is that of %s, and was that of %s", ErrRestored, found.mark.Made.Format(time.RFC3339), last.Made.Format(time.RFC3339))
	}
	return found, nil
}

// raise looks at the mark in etcd, and raises it where something was written since.
func (k *Keeper) raise(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	found, err := k.verify(ctx)
	if err != nil {
		return err
	}
	mark := *found.mark
	if found.revision > found.modified && k.config.Clock.Since(mark.Made).Abs() >= markPeriod {
		mark = mark.next(k.config.Clock.Now())
		if err := k.writeEtcd(ctx, mark, found.modified); err != nil {
			return err
		}
	}
	k.mu.Lock()
	k.last = &mark
	published := k.published
	k.mu.Unlock()
	if mark.Generation > published {
		return k.publish(ctx, mark)
	}
	return nil
}

// stored is the mark in etcd.
type stored struct {
	mark *Mark // nil: there is none
	// modified is the revision of etcd in which it was written, 0 where it wasn't, and revision that of now.
	modified, revision int64
}

func (k *Keeper) get(ctx context.Context) (stored, error) {
	response, err := k.config.Etcd.Get(ctx, k.config.Key)
	if err != nil {
		return stored{}, fmt.Errorf("read the mark in etcd: %w", err)
	}
	found := stored{revision: response.Header.Revision}
	if len(response.Kvs) == 0 {
		return found, nil
	}
	found.modified = response.Kvs[0].ModRevision
	if found.mark, err = decode(string(response.Kvs[0].Value)); err != nil {
		return stored{}, fmt.Errorf("etcd key %s: %w", k.config.Key, err)
	}
	return found, nil
}

// writeEtcd writes the mark, if the one there is still that of a revision, and does something else along with it.
func (k *Keeper) writeEtcd(ctx context.Context, mark Mark, modified int64, along ...clientv3.Op) error {
	encoded, err := mark.encode()
	if err != nil {
		return err
	}
	response, err := k.config.Etcd.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(k.config.Key), "=", modified)).
		Then(append(along, clientv3.OpPut(k.config.Key, encoded))...).
		Commit()
	if err != nil {
		return fmt.Errorf("write the mark in etcd: %w", err)
	}
	if !response.Succeeded {
		return errRace
	}
	return nil
}
