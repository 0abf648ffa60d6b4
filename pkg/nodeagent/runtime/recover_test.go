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
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// restart gives the folder to another Process, as a restart of the server does.
func restart(t *testing.T, f *fixture) *fixture {
	t.Helper()
	f.Close()
	return newFixture(t, f.root)
}

func TestRecoverRunningContainer(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	started := f.start(t, id, "while [ ! -e go ]; do sleep 0.01; done; exit 6")
	f = restart(t, f)
	if pods := f.Pods(); len(pods) != 1 || pods[0].Name != "test" || pods[0].Namespace != "default" {
		t.Errorf("found Pods %+v, want the one that was started", pods)
	}
	got, ok := f.get(id)
	if !ok || !got.Running || !got.StartedAt.Equal(started.StartedAt) {
		t.Errorf("found %+v (%t), want it running since %v", got, ok, started.StartedAt)
	}
	if err := os.WriteFile(f.WorkingDir("pod")+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := f.waitEnded(t, id); got.ExitCode != 6 || got.Failure != FailureNone {
		t.Errorf("ended with %+v, want exit code 6", got)
	}
}

func TestRecoverContainerThatEndedMeanwhile(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, "while [ ! -e go ]; do sleep 0.01; done; echo done; exit 6")
	f.Close()
	if err := os.WriteFile(f.WorkingDir("pod")+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the exit record", func() bool {
		var exit supervisor.Exit
		found, err := supervisor.ReadRecord(f.path(id, supervisor.SuffixExit), &exit)
		return err == nil && found
	})
	f = newFixture(t, f.root)
	got, ok := f.get(id)
	if !ok || got.Running || got.ExitCode != 6 {
		t.Errorf("found %+v (%t), want it ended with exit code 6", got, ok)
	}
	if log := f.log(t, id); !strings.HasSuffix(log, "stdout F done\n") {
		t.Errorf("log is %q, want its last line to be done", log)
	}
}

func TestRecoverAfterTheSupervisorWasKilled(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, `sleep 1000 & echo $! > child; wait`)
	child := f.pidFrom(t, id, "child")
	f.Close()
	running := f.running(t, id)
	if err := syscall.Kill(running.SupervisorPID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end of the supervisor", func() bool { return !f.supervised(id) })
	f = newFixture(t, f.root)
	got, ok := f.get(id)
	if !ok || got.Running || got.Failure != FailureLost || got.ExitCode != 137 {
		t.Errorf("found %+v (%t), want it lost", got, ok)
	}
	if alive(child) {
		t.Errorf("process %d of the container is still alive", child)
	}
}

// The crash windows, made by hand.
func TestRecoverRecords(t *testing.T) {
	t.Parallel()
	bootID, err := supervisor.BootID()
	if err != nil {
		t.Fatal(err)
	}
	self, err := supervisor.ReadProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		intent      intent
		running     *supervisor.Running
		exit        *supervisor.Exit
		wantNone    bool
		wantCode    int
		wantFailure Failure
	}{
		"never started": {intent: intent{BootID: bootID}, wantNone: true},
		"never known to have started, another boot": {
			intent: intent{BootID: "another"}, wantCode: 137, wantFailure: FailureNodeLost,
		},
		"running in another boot, its number is ours now": {
			intent: intent{BootID: "another"}, running: &supervisor.Running{SupervisorPID: self.PID, PID: self.PID, Start: self.Start},
			wantCode: 137, wantFailure: FailureNodeLost,
		},
		"supervisor gone, its number and the command's are ours now": {
			intent: intent{BootID: bootID}, running: &supervisor.Running{SupervisorPID: self.PID, SupervisorStart: 1, PID: self.PID, Start: 1},
			wantCode: 137, wantFailure: FailureLost,
		},
		"ended": {
			intent: intent{BootID: bootID}, running: &supervisor.Running{}, exit: &supervisor.Exit{Code: 9}, wantCode: 9,
		},
		"ended in another boot": {
			intent: intent{BootID: "another"}, running: &supervisor.Running{}, exit: &supervisor.Exit{Code: 9}, wantCode: 9,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, t.TempDir())
			id := ID{PodUID: "pod", Container: "main", Attempt: 2}
			if err := os.MkdirAll(f.containerDir(id), 0o700); err != nil {
				t.Fatal(err)
			}
			test.intent.Backoff = time.Minute
			write := func(suffix string, record any) {
				if err := supervisor.WriteRecord(f.path(id, suffix), record); err != nil {
					t.Fatal(err)
				}
			}
			write(supervisor.SuffixIntent, test.intent)
			if test.running != nil {
				write(supervisor.SuffixRunning, test.running)
			}
			if test.exit != nil {
				write(supervisor.SuffixExit, test.exit)
			}
			// Twice: what the first recovery concludes must be what the second one finds.
			for range 2 {
				f = restart(t, f)
				got, ok := f.get(id)
				if test.wantNone {
					if ok {
						t.Errorf("found %+v, want nothing", got)
					}
					continue
				}
				if !ok || got.Running || got.ExitCode != test.wantCode || got.Failure != test.wantFailure || got.Backoff != time.Minute {
					t.Errorf("found %+v (%t), want exit code %d and failure %q", got, ok, test.wantCode, test.wantFailure)
				}
			}
		})
	}
}

// After a power cut any record may be empty or missing.
func TestRecoverAfterAPowerCut(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"before the end":      {supervisor.SuffixIntent, supervisor.SuffixRunning},
		"at the end":          {supervisor.SuffixIntent, supervisor.SuffixRunning, supervisor.SuffixExit},
		"intent lost":         {supervisor.SuffixRunning},
		"all but exit lost":   {supervisor.SuffixExit},
		"all but intent lost": {supervisor.SuffixIntent},
	}
	for name, suffixes := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, t.TempDir())
			id := ID{PodUID: "pod", Container: "main"}
			if err := os.MkdirAll(f.containerDir(id), 0o700); err != nil {
				t.Fatal(err)
			}
			paths := []string{f.podDir("pod") + "/" + podRecord}
			for _, suffix := range suffixes {
				paths = append(paths, f.path(id, suffix))
			}
			for _, path := range paths {
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				f = restart(t, f)
				if got, ok := f.get(id); !ok || got.Running || got.Failure != FailureNodeLost {
					t.Errorf("found %+v (%t), want it lost", got, ok)
				}
			}
			if kept, err := f.Prepare(t.Context(), Pod{UID: "pod", Namespace: "default", Name: "test"}); err != nil || kept.Name != "test" {
				t.Errorf("the Pod's record is %+v, error %v", kept, err)
			}
			if got, ok := f.get(id); !ok || got.Failure != FailureNodeLost {
				t.Errorf("after Prepare found %+v (%t), want it lost", got, ok)
			}
		})
	}
}

// A supervisor without an agent takes another way to write its result.
func TestOrphanRecordsItsResult(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	if _, err := f.Prepare(t.Context(), Pod{UID: id.PodUID}); err != nil {
		t.Fatal(err)
	}
	lock, err := f.recordIntent(StartRequest{ID: id}, &entry{})
	if err != nil {
		t.Fatal(err)
	}
	child, err := f.launch(supervisor.Spec{
		Dir: f.containerDir(id), Attempt: "0", Argv: []string{"sh", "-c", "exit 3"}, Env: []string{"PATH=/usr/bin:/bin"}, WorkingDir: "/",
		AgentPID: os.Getppid(), // not the supervisor's parent
	}, stdio{stdin: lock})
	_ = lock.Close()
	if err != nil {
		t.Fatal(err)
	}
	child.discard()
	var exit supervisor.Exit
	if found, err := supervisor.ReadRecord(f.path(id, supervisor.SuffixExit), &exit); err != nil || !found || exit.Code != 3 {
		t.Errorf("the exit record is %+v (%t, error %v), want code 3", exit, found, err)
	}
}

// halfStarted forks a supervisor that waits for the rest of what it is to do. The file that is returned is the other end of its pipe.
func halfStarted(t *testing.T, f *fixture, id ID) (*child, *os.File) {
	t.Helper()
	if _, err := f.Prepare(t.Context(), Pod{UID: id.PodUID}); err != nil {
		t.Fatal(err)
	}
	lock, err := f.recordIntent(StartRequest{ID: id}, &entry{})
	if err != nil {
		t.Fatal(err)
	}
	specRead, specWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reportRead, reportWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	child, err := f.fork(specRead, reportWrite, stdio{stdin: lock})
	if err != nil {
		t.Fatal(err)
	}
	child.report = reportRead
	_, _, _ = reportWrite.Close(), lock.Close(), specRead.Close()
	if !f.supervised(id) {
		t.Error("the supervisor doesn't hold the lock")
	}
	if _, err := specWrite.WriteString(`{"Dir":"` + f.containerDir(id) + `","Attempt":"0","Argv":["touch"`); err != nil {
		t.Fatal(err)
	}
	return child, specWrite
}

func TestHalfASpecStartsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	child, spec := halfStarted(t, f, id)
	_ = spec.Close()
	if report, err := child.readReport(patience); err == nil {
		t.Errorf("the supervisor reported %+v", report)
	}
	child.discard()
	f = restart(t, f)
	if got, ok := f.get(id); ok {
		t.Errorf("found %+v, want nothing: the container may be started now", got)
	}
}

// As above, but the next agent comes before the supervisor has ended.
func TestHalfASpecThatIsStillWaitedFor(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	child, spec := halfStarted(t, f, id)
	f = restart(t, f)
	if got, ok := f.get(id); !ok || !got.Running {
		t.Errorf("found %+v (%t), want it running: nobody knows yet", got, ok)
	}
	done := f.Done(id)
	_ = spec.Close()
	child.discard()
	waitFor(t, "the attempt to be forgotten", func() bool {
		_, ok := f.get(id)
		return !ok
	})
	<-done
	if uid := <-f.changes; uid != id.PodUID {
		t.Errorf("a change of Pod %s was announced, want one of %s", uid, id.PodUID)
	}
	if got := f.start(t, id, "exit 4"); got.ID != id {
		t.Errorf("started %+v, want the same attempt", got)
	}
	if got := f.waitEnded(t, id); got.ExitCode != 4 || got.Failure != FailureNone {
		t.Errorf("ended with %+v, want exit code 4", got)
	}
}
