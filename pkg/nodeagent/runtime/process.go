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

package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/cgroup"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
	"github.com/jobserver-dev/jobserver/pkg/processlock"
)

// ProcessConfig is what NewProcess needs.
type ProcessConfig struct {
	// RootDir is absolute. It is made 0700 where it doesn't exist: it holds what the containers print.
	RootDir string
	// SupervisorPath is an executable that links package supervisor.
	SupervisorPath string
	// EndWithAgent has containers end, with their grace periods, when this process does, even if it is killed. Without it they go on.
	EndWithAgent bool
	// LogMaxSize is the size in bytes from which on a log goes on in another file, LogMaxFiles how many of them are kept, at least 2; zero: there is one.
	LogMaxSize  int64
	LogMaxFiles int
	// OnChange is called when a container of the Pod has ended. It must not block.
	OnChange func(podUID types.UID)
}

// Process runs each container as a process of this machine with a supervisor. Make one with NewProcess.
type Process struct {
	root           string
	supervisorPath string
	endWithAgent   bool
	onChange       func(types.UID)
	bootID         string
	lock           *processlock.Lock // the root folder is ours
	cgroups        *cgroup.Cgroups
	logMaxSize     int64
	logMaxFiles    int
	sockets        *os.File // a folder for sockets; empty but for those that are waited at

	mu     sync.Mutex
	pods   map[types.UID]*podEntry
	closed bool
}

var _ Runtime = &Process{}

// podEntry is one Pod in memory.
type podEntry struct {
	pod        Pod
	containers map[string][]*entry // by container name, oldest attempt first, at most keptAttempts
	starting   *entry              // not in containers yet
}

// entry is one attempt in memory. Its fields are guarded by Process.mu.
type entry struct {
	Container
	pidfd      *os.File // of the supervisor; nil once it ended
	lifeline   *os.File // held open while the supervisor runs, where it ends with this process
	cgroup     supervisor.Cgroup
	stopBefore time.Time
	// stopRecorded is the end of the grace period that an earlier agent gave; zero: none did.
	stopRecorded time.Time
	done         chan struct{} // closed when Running becomes false
	kept         bool          // it is in podEntry.containers
}

// newEntry returns the attempt as one that runs.
func newEntry(container Container) *entry {
	container.Running = true
	return &entry{Container: container, done: make(chan struct{})}
}

// closedChannel is what Done returns for attempts that aren't known.
var closedChannel = func() <-chan struct{} {
	channel := make(chan struct{})
	close(channel)
	return channel
}()

// keptAttempts are the attempts kept of each container: the current one, and the previous for `kubectl logs --previous`.
const keptAttempts = 2

// NewProcess makes the folder and takes possession of it; a second Process on the same folder is refused until Close.
func NewProcess(config ProcessConfig) (*Process, error) {
	if !filepath.IsAbs(config.RootDir) {
		return nil, fmt.Errorf("root folder %q is not an absolute path", config.RootDir)
	}
	for _, folder := range []string{podsFolder, stagingFolder} {
		if err := os.MkdirAll(filepath.Join(config.RootDir, folder), 0o700); err != nil {
			return nil, fmt.Errorf("make root folder: %w", err)
		}
	}
	bootID, err := supervisor.BootID()
	if err != nil {
		return nil, err
	}
	lock, err := processlock.Acquire(filepath.Join(config.RootDir, "agent.lock"))
	var held *processlock.HeldError
	if errors.As(err, &held) {
		return nil, fmt.Errorf("root folder %s belongs to another node agent: %w", config.RootDir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("lock root folder: %w", err)
	}
	sockets, err := makeSocketFolder(config.RootDir)
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return &Process{
		root: config.RootDir, supervisorPath: config.SupervisorPath, endWithAgent: config.EndWithAgent, onChange: config.OnChange, bootID: bootID, lock: lock,
		cgroups: cgroup.Find(config.RootDir), logMaxSize: config.LogMaxSize, logMaxFiles: config.LogMaxFiles,
		sockets: sockets, pods: map[types.UID]*podEntry{},
	}, nil
}

// Close implements Runtime.
func (p *Process) Close() {
	p.sweepCgroups(context.Background())
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	p.cgroups.Clean()
	_ = p.sockets.Close()
	_ = p.lock.Release() // it ends with the process at the latest
	for _, pod := range p.pods {
		for _, attempts := range pod.containers {
			for _, entry := range attempts {
				if entry.pidfd != nil {
					_ = entry.pidfd.Close() // wakes its watcher
				}
			}
		}
	}
}

// Pods implements Runtime.
func (p *Process) Pods() []Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	pods := make([]Pod, 0, len(p.pods))
	for _, entry := range p.pods {
		pods = append(pods, entry.pod)
	}
	return pods
}

// Prepare implements Runtime.
func (p *Process) Prepare(ctx context.Context, pod Pod) (Pod, error) {
	p.mu.Lock()
	known, ok := p.pods[pod.UID]
	p.mu.Unlock()
	if ok && known.pod.Name != "" {
		return known.pod, nil
	}
	if err := os.MkdirAll(p.WorkingDir(pod.UID), 0o700); err != nil {
		return Pod{}, fmt.Errorf("make Pod folder: %w", err)
	}
	record := filepath.Join(p.podDir(pod.UID), podRecord)
	var kept Pod
	found, err := supervisor.ReadRecord(record, &kept)
	if err != nil && !found {
		return Pod{}, err
	}
	if !found || err != nil {
		kept = pod
		if err := supervisor.WriteRecord(record, pod); err != nil {
			return Pod{}, err
		}
	}
	// The records on disk decide what was started already, never what happens to be in memory.
	if err := p.recoverPod(ctx, pod.UID); err != nil {
		return Pod{}, fmt.Errorf("read the records of the Pod: %w", err)
	}
	return kept, nil
}

// Containers implements Runtime.
func (p *Process) Containers(podUID types.UID) []Container {
	p.mu.Lock()
	defer p.mu.Unlock()
	pod := p.pods[podUID]
	if pod == nil {
		return nil
	}
	var containers []Container
	for _, attempts := range pod.containers {
		for _, entry := range attempts {
			containers = append(containers, entry.Container)
		}
	}
	return containers
}

// Done implements Runtime.
func (p *Process) Done(id ID) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if entry := p.find(id); entry != nil {
		return entry.done
	}
	if pod := p.pods[id.PodUID]; pod != nil && pod.starting != nil && pod.starting.ID == id {
		return pod.starting.done
	}
	return closedChannel
}

// Forget implements Runtime.
func (p *Process) Forget(podUID types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.anyRunning(podUID) {
		delete(p.pods, podUID)
	}
}

// Remove implements Runtime.
func (p *Process) Remove(podUID types.UID) error {
	p.mu.Lock()
	if p.anyRunning(podUID) {
		p.mu.Unlock()
		return errors.New("a container of the Pod is still running")
	}
	delete(p.pods, podUID)
	p.mu.Unlock()
	if err := UnmountBelow(p.VolumesDir(podUID)); err != nil {
		return err
	}
	if err := os.RemoveAll(p.podDir(podUID)); err != nil {
		return fmt.Errorf("remove Pod folder: %w", err)
	}
	return nil
}

// anyRunning needs p.mu.
func (p *Process) anyRunning(podUID types.UID) bool {
	pod := p.pods[podUID]
	if pod == nil {
		return false
	}
	for _, attempts := range pod.containers {
		if slices.ContainsFunc(attempts, func(e *entry) bool { return e.Running }) {
			return true
		}
	}
	return false
}

// keep adds an attempt of a Pod that is known, and deletes the files of those that are no longer needed.
func (p *Process) keep(added *entry) {
	p.mu.Lock()
	pod := p.pods[added.ID.PodUID]
	attempts := append(pod.containers[added.ID.Container], added)
	dropped := attempts[:max(0, len(attempts)-keptAttempts)]
	pod.containers[added.ID.Container] = slices.Clone(attempts[len(dropped):])
	added.kept = true
	p.mu.Unlock()
	for _, old := range dropped {
		if err := p.removeAttempt(old.ID); err != nil {
			// They go with the Pod's folder then.
			klog.Background().Error(err, "Failed to remove the files of an old attempt", "podUID", old.ID.PodUID, "container", old.ID.Container, "attempt", old.ID.Attempt)
		}
	}
}

// find returns the attempt in memory, or nil. It needs p.mu.
func (p *Process) find(id ID) *entry {
	pod := p.pods[id.PodUID]
	if pod == nil {
		return nil
	}
	for _, entry := range pod.containers[id.Container] {
		if entry.ID == id {
			return entry
		}
	}
	return nil
}

// contextError returns why ctx ended, or nil.
func contextError(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
