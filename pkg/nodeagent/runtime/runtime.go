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

// Package runtime says how the containers of a Pod become processes of this machine.
//
// Runtime is the whole of what the node agent needs for it, so that the agent's rules can be tested with a scripted one.
// Process, the real one, gives each container a supervisor of its own: see package supervisor for why, and for the records on disk
// and what they mean after a crash.
package runtime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/cgroup"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// Runtime runs containers as processes. Its methods may be called from several goroutines, but not from two at once for the same Pod.
type Runtime interface {
	// Recover finds everything that an earlier agent started from the same folder, running or ended, and watches what
	// still runs. It is called once, before anything else.
	Recover(ctx context.Context) error
	// Pods lists the Pods that have files here.
	Pods() []Pod
	// Prepare makes the Pod's folder and keeps its record. Preparing a Pod again is fine, and returns the record kept first; what was
	// started of it before is known again then, even after Forget.
	Prepare(ctx context.Context, pod Pod) (kept Pod, err error)
	// WorkingDir is the folder, empty at first, that is the working directory of the Pod's containers where they name no other.
	WorkingDir(podUID types.UID) string
	// VolumesDir is a folder, empty at first, for the Pod's volumes. What is mounted in it is unmounted by Remove.
	VolumesDir(podUID types.UID) string
	// Containers lists the last two attempts at each container of the Pod, oldest first, containers in no order.
	Containers(podUID types.UID) []Container
	// Start runs one attempt at a container. When it returns without error, the attempt is on record: it is Running or, where the command
	// couldn't be run, has ended with a Failure. With an error nothing was started, and the same attempt may be started again.
	Start(ctx context.Context, request StartRequest) (Container, error)
	// Stop asks for the end of a running container and returns at once. Asking again can only shorten the grace. Of a container that
	// has ended it is a no-op.
	Stop(id ID, options StopOptions)
	// Exec runs a command beside a running container and waits for its end; its exit code is 128 plus the signal's number where a signal ended it. At
	// the end of ctx, of the container or of this process, the command is killed with all that it started: the error is the cause of the former, ErrNotRunning of the
	// latter. A command that can't be run is a *StartError.
	Exec(ctx context.Context, id ID, command Command) (code int, err error)
	// Attach connects streams with those of a running container. It returns without error when the container has ended, with all its output from then on; when Stdin has
	// ended, unless StdinOnce says otherwise; and when the reader of the output is gone. At the end of ctx the error is its cause. Any number may be attached.
	Attach(ctx context.Context, id ID, streams AttachStreams) error
	// Message returns the end of what the attempt wrote to its MessagePath, at most limit bytes of it.
	Message(id ID, limit int64) (string, error)
	// LogFiles lists the files that hold the output of an attempt, in the log format of the CRI, in the order of their being written. The last one may be
	// being written to, and the first one be deleted at any time.
	LogFiles(id ID) ([]LogFile, error)
	// Done returns a channel that is closed once the attempt has ended and its log is complete. Of an attempt that isn't known, one of a
	// Pod forgotten say, it is closed already.
	Done(id ID) <-chan struct{}
	// Attempts lists the attempts at a container that have a log, oldest first; it works for Pods forgotten too.
	Attempts(podUID types.UID, container string) ([]int, error)
	// Forget drops what is kept in memory about a Pod none of whose containers runs. Its files stay.
	Forget(podUID types.UID)
	// Remove deletes the Pod's files. It is an error while one of its containers runs.
	Remove(podUID types.UID) error
	// LimitError says why limits that need a controller of package cgroup are not enforced; nil: they are.
	LimitError(controller string) error
	// Close stops watching. Containers keep running.
	Close()
}

// Pod is what is kept on disk about a Pod, so that an agent that was restarted knows whose processes it found.
type Pod struct {
	UID       types.UID `json:"uid"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	// StartTime is when the node first saw the Pod: status.startTime.
	StartTime metav1.Time `json:"startTime"`
}

// ID names one attempt at running a container of a Pod.
type ID struct {
	PodUID types.UID
	// Container is the container's name; init containers share the name space.
	Container string
	// Attempt counts from 0: it is the container's restart count.
	Attempt int
}

// String is the container's id as containerID in the Pod's status carries it: 64 hexadecimal digits, the same for the same ID.
func (id ID) String() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", id.PodUID, id.Container, id.Attempt))
	return hex.EncodeToString(sum[:])
}

// Failure says how an attempt went wrong other than by the command's own doing.
type Failure string

const (
	// FailureNone: the command ran, and how it ended is known.
	FailureNone Failure = ""
	// FailureStart: the command could not be run.
	FailureStart Failure = "Start"
	// FailureLost: it is not known how the command ended, because its supervisor was killed. None of its processes is left.
	FailureLost Failure = "Lost"
	// FailureNodeLost is FailureLost where the machine was restarted.
	FailureNodeLost Failure = "NodeLost"
)

// Container is the state of one attempt.
type Container struct {
	ID ID
	// Running is false once the attempt has ended and every process of it is gone.
	Running bool
	// StartedAt is zero where the command could not be run. FinishedAt is zero while it runs.
	StartedAt, FinishedAt time.Time
	// ExitCode is 128 plus Signal for a command that a signal ended, 126 or 127 with FailureStart, 137 with FailureLost and FailureNodeLost.
	ExitCode, Signal int
	Failure          Failure
	// OOMKilled is true where the kernel killed a process of the attempt because all of them took more memory than their limit.
	OOMKilled bool
	// Message explains the Failure.
	Message string
	// Backoff is what StartRequest said.
	Backoff time.Duration
	// Round is what StartRequest said.
	Round int
	// Stopping is true once Stop was called, even by an earlier agent. StopReason is what its options said the first time.
	Stopping   bool
	StopReason string
}

// StartRequest says what to run.
type StartRequest struct {
	ID ID
	// Argv is never empty. A name without a slash is looked up in the PATH of Env.
	Argv []string
	// Env is the whole environment, as NAME=value.
	Env []string
	// WorkingDir is absolute. It is made where it is in the Pod's own or in a volume that may be written; elsewhere it has to exist.
	WorkingDir string
	// Stdin leaves the standard input open for those that are attached; without it there is nothing to read. TTY gives the container a terminal in the place
	// of its standard files.
	Stdin, TTY bool
	// Limits bound what the container's processes use together, as far as LimitError says that they can be enforced.
	Limits cgroup.Limits
	// View is how the container sees the machine's files; its Staging is set by the runtime. WorkingDir and Argv are looked up in it.
	View supervisor.View
	// MessagePath is the absolute path of a file that the attempt alone sees, empty at first, and that Message returns the end of; empty: none. It takes
	// the rights to mount.
	MessagePath string
	// Rights are the command's. Where they name a user, the Pod's own working directory is opened to all users that can reach it.
	Rights supervisor.Rights
	// Backoff is kept with the attempt for whoever decides about the next one.
	Backoff time.Duration
	// Round is kept with the attempt: it numbers the times that all containers of the Pod were started anew.
	Round int
	// StopSignal and Grace are used when something else than the agent asks the supervisor to end the container.
	StopSignal syscall.Signal
	Grace      time.Duration
}

// StopOptions say how to end a container.
type StopOptions struct {
	// Signal asks the container to end; zero: the one of its StartRequest.
	Signal syscall.Signal
	// Grace is the time from the call to SIGKILL, hook and waiting included, but the signal always leaves 2 s, as with a kubelet. Without any, there is neither hook
	// nor waiting.
	Grace time.Duration
	// Kill ends the container at once, without hook, waiting and signal.
	Kill bool
	// Hook is called before the signal; nil: none. Its context ends with the grace period. It is called once, however often Stop is called
	// and agents restart.
	Hook func(ctx context.Context)
	// After names attempts that end before the signal is sent. They are waited for after the hook, at most for what remains of Grace.
	After []ID
	// Reason is kept with the attempt.
	Reason string
}

// Command is a command run beside the processes of a running container.
type Command struct {
	// Argv, Env, WorkingDir and Rights are as of StartRequest.
	Argv, Env  []string
	WorkingDir string
	Rights     supervisor.Rights
	// Stdin, Stdout and Stderr are the command's; nil: the null device. The caller closes them.
	Stdin, Stdout, Stderr *os.File
	// TTY makes the terminal that Stdin is the controlling one of the command's session.
	TTY bool
}

// AttachStreams are what is attached to a container; a nil one is not wanted.
type AttachStreams struct {
	// Stdin is passed on to a container that has an open standard input. To one that hasn't, nothing is.
	Stdin io.Reader
	// StdinOnce closes the container's standard input for good when Stdin has ended, whether by its own end or because the client is gone; the output goes on. It is
	// for containers without a terminal.
	StdinOnce bool
	// Stdout and Stderr get what the container prints; a terminal's output is all in Stdout. A container is held up where they are slow, and they are cut off
	// where they take nothing for half a minute.
	Stdout, Stderr io.Writer
	// Resize tells the size of the client's terminal, at first and whenever it changes.
	Resize <-chan TerminalSize
}

// ErrNotRunning is why nothing is run beside a container that doesn't run.
var ErrNotRunning = errors.New("the container is not running")

// StartError is a command that couldn't be run.
type StartError struct{ Message string }

// Error implements error.
func (e *StartError) Error() string { return e.Message }
