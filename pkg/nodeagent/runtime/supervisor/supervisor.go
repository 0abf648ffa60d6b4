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

package supervisor

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Marker is the name (argv[0]) under which an executable that links this package is started to become a supervisor.
const Marker = "jobserver-supervisor"

// Descriptors that a supervisor is started with, beside its standard ones.
const (
	// SpecFD is where the Spec is read from, as one JSON value. With Spec.Lifeline the pipe stays open.
	SpecFD = 0
	// LockFD is the intent record, locked. It is held open until the supervisor ends, and that is its only use. Of a command beside a
	// container, which has no record, it is the standard input; standard output and error are the supervisor's own.
	LockFD = 3
	// ReportFD is a pipe on which one Report is written.
	ReportFD = 4
)

// Environment is what a supervisor itself is started with: it handles two pipes and one child, and there may be
// thousands of it, so the Go runtime is told to spend neither threads nor memory on it. The container doesn't see this.
func Environment() []string { return []string{"GOMAXPROCS=1", "GOGC=50", "GOMEMLIMIT=16MiB"} }

// Spec says what to run. It reaches the supervisor through a pipe: an argument list would show the secrets of the
// environment to every user of the machine, and a file would leave them on disk.
type Spec struct {
	// Dir and Attempt name the files of the attempt: Dir/Attempt.log and so on. With an empty Dir nothing is recorded: the command
	// runs beside a container, and the Report says how it ended.
	Dir, Attempt string
	// Argv is the command and its arguments; never empty. Argv[0] is looked up in the PATH of Env.
	Argv []string
	// Env is the whole environment, as NAME=value.
	Env []string
	// WorkingDir is absolute.
	WorkingDir string
	// Rights are the command's.
	Rights Rights
	// View is how the command sees the machine's files; Join, where set, is a process whose View it shares instead. WorkingDir and the command
	// are looked up in it.
	View View
	Join Joined
	// LogMaxSize is the size in bytes from which on the log goes on in another file, LogMaxFiles how many are kept; zero: there is one.
	LogMaxSize  int64
	LogMaxFiles int
	// Cgroup is what the command is put into; the supervisor of a container deletes it at the end.
	Cgroup Cgroup
	// TTY gives a container a terminal of its own in the place of its standard files. Of a command beside a container, it says that the standard input is a
	// terminal. Either way it becomes the controlling terminal of the command's session.
	TTY bool
	// Stdin leaves a container's standard input open for clients that are attached; without it there is nothing to read. Unused beside a container.
	Stdin bool
	// StopSignal and Grace are used where the end is asked for by a SIGTERM to the supervisor or by the loss of its lifeline.
	StopSignal int
	Grace      time.Duration
	// AgentPID is the process that starts the supervisor: once it is another one's child, its result may have to wait long for an agent.
	AgentPID int
	// Lifeline ends the command when the writing end of the Spec's pipe is closed, even by the writer's death.
	Lifeline bool
}

// Report is what the supervisor tells the process that started it, once. A container's Report comes as soon as the
// command runs (Running) or can't be started (Exit); that of a command beside a container when it has ended (Exit).
type Report struct {
	Running *Running `json:"running,omitempty"`
	Exit    *Exit    `json:"exit,omitempty"`
}

func init() {
	if len(os.Args) == 0 {
		return
	}
	// Not os.Exit: there is nothing to flush, and under the race detector it would wait for a second.
	switch os.Args[0] {
	case Marker:
		syscall.Exit(run())
	case CleanerMarker:
		syscall.Exit(clean(os.Args[1:]))
	}
}

// Exit codes of the supervisor itself. Nothing depends on them; they help whoever watches it with strace.
const (
	exitOK = iota
	exitBadSpec
	exitNoRecord
)

// supervision is one supervisor's work on one command.
type supervision struct {
	spec   Spec
	report *os.File
	// signals are those sent to the supervisor itself.
	signals chan os.Signal
	state   Running
	log     *logFile // nil beside a container
	pumps   sync.WaitGroup
	stop    stopper
	clients clients
	// terminal is the container's side of its terminal; nil: it has none. It is open until all processes are gone, so that one that closes its own doesn't end the output.
	terminal *os.File
	// abandoned is closed when the lifeline has ended.
	abandoned chan struct{}
}

func run() int {
	closeInherited(ReportFD + 1)
	specPipe := os.NewFile(SpecFD, "spec")
	s := &supervision{report: os.NewFile(ReportFD, "report"), signals: make(chan os.Signal, 4), abandoned: make(chan struct{})}
	syscall.CloseOnExec(LockFD)
	syscall.CloseOnExec(ReportFD)
	// The agent that died half way through writing the Spec leaves half a JSON value: nothing is started then.
	if err := json.NewDecoder(specPipe).Decode(&s.spec); err != nil || len(s.spec.Argv) == 0 {
		return exitBadSpec
	}
	// What the command's processes leave behind becomes ours, however often they fork: only so can all of it be killed.
	if err := prctl(prSetChildSubreaper, 1); err != nil {
		return exitBadSpec
	}
	control, err := s.prepare()
	if err != nil {
		return exitNoRecord
	}
	// Before the command starts, which gets its defaults back for what is caught here. SIGHUP and SIGINT are caught and dropped: a server that
	// was started with nohup, or in the background of a script, ignores them, and what is ignored would stay ignored in the command.
	signal.Notify(s.signals, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
	if startErr := s.start(); startErr != nil {
		s.listen(control, specPipe)
		return s.finish(Exit{Code: startErr.code, StartError: startErr.message, FinishedAt: time.Now()}, control)
	}
	s.listen(control, specPipe)
	code, signal := s.wait()
	return s.finish(Exit{Code: code, Signal: signal, StartedAt: s.state.StartedAt, FinishedAt: time.Now()}, control)
}

// isBeside tells whether the command runs beside a container, and is none itself.
func (s *supervision) isBeside() bool { return s.spec.Dir == "" }

// isOrphan tells whether the agent that started the supervisor is gone, which the kernel shows by giving it another parent.
func (s *supervision) isOrphan() bool { return os.Getppid() != s.spec.AgentPID }

func (s *supervision) path(suffix string) string {
	return join(s.spec.Dir, s.spec.Attempt+suffix)
}

// prepare opens the control pipe and the log and writes the first running record: from here on the command may have run.
func (s *supervision) prepare() (control *os.File, err error) {
	if s.isBeside() {
		return nil, nil
	}
	// Open for writing too, so that the pipe never reports its end when an agent closes it.
	if control, err = os.OpenFile(s.path(SuffixControl), os.O_RDWR|syscall.O_NONBLOCK, 0); err != nil {
		return nil, err
	}
	if s.log, err = openLog(s.path(SuffixLog), s.spec.LogMaxSize, s.spec.LogMaxFiles); err != nil {
		return nil, err
	}
	self, err := ReadProcess(os.Getpid())
	if err != nil {
		return nil, err
	}
	s.state = Running{SupervisorPID: self.PID, SupervisorStart: self.Start, StartedAt: time.Now()}
	return control, WriteRecord(s.path(SuffixRunning), s.state)
}

// start starts the command and the pumps of its output, and says so.
func (s *supervision) start() *startError {
	files, err := s.standardFiles()
	defer files.close()
	if err != nil {
		return &startError{CodeNotExecutable, err.Error()}
	}
	placed, err := s.spec.Cgroup.open()
	defer placed.close()
	if err != nil {
		return &startError{CodeCannotSetUp, err.Error()}
	}
	s.state.StartedAt = time.Now()
	var pid int
	startErr := inView(s.spec.View, s.spec.Join, func() (err *startError) {
		pid, err = start(&s.spec, placed, files.stdin, files.stdout, files.stderr)
		return err
	})
	if startErr != nil {
		return startErr
	}
	s.stop.started(pid)
	s.state.PID = pid
	if process, err := ReadProcess(pid); err == nil {
		s.state.Start = process.Start
	}
	if !s.isBeside() {
		// Failing to write leaves the first running record in place. It lacks what a later agent needs to clean up after a
		// supervisor that is killed, and nothing else: no reason to end the command.
		_ = WriteRecord(s.path(SuffixRunning), s.state)
		s.tell(Report{Running: &s.state})
	}
	return nil
}

// tell writes the report. Nobody may be listening any more: the records say the same.
func (s *supervision) tell(report Report) {
	_ = json.NewEncoder(s.report).Encode(report)
	_ = s.report.Close()
}

// listen obeys the control pipe, signals to the supervisor, and the lifeline, each on a goroutine that ends with the process.
func (s *supervision) listen(control, specPipe *os.File) {
	if control != nil {
		go s.obey(control)
	}
	go func() {
		for received := range s.signals {
			if received == syscall.SIGTERM {
				s.stop.request(syscall.Signal(s.spec.StopSignal), s.spec.Grace)
			}
		}
	}()
	if s.spec.Lifeline {
		go func() {
			_, _ = io.Copy(io.Discard, specPipe)
			close(s.abandoned)
			s.stop.request(syscall.Signal(s.spec.StopSignal), s.spec.Grace)
		}()
	} else {
		_ = specPipe.Close()
	}
}

// obey reads requests from the control pipe until it is closed. A line that is none is dropped.
func (s *supervision) obey(control io.Reader) {
	lines := bufio.NewScanner(control)
	for lines.Scan() {
		if path, ok := strings.CutPrefix(lines.Text(), attachVerb); ok {
			go s.clients.attach(path)
		} else {
			s.stop.obey(lines.Text(), syscall.Signal(s.spec.StopSignal))
		}
	}
}

// wait blocks until the command and all its descendants are gone. When the command ends, what it left behind is
// killed, as everything in a container is with its first process.
func (s *supervision) wait() (code, signal int) {
	for {
		pid, err := waitAny()
		if err != nil {
			// ECHILD: no child and therefore no descendant is left.
			return code, signal
		}
		isCommand := pid == s.state.PID
		if isCommand {
			// Before it is collected: from then on its number may belong to others.
			s.stop.ended()
		}
		status, err := collect(pid)
		if isCommand && err == nil {
			code, signal = status.ExitStatus(), 0
			if status.Signaled() {
				signal = int(status.Signal())
				code = 128 + signal
			}
		}
		if s.stop.hasEnded() {
			killChildren()
		}
	}
}

// drainTimeout bounds the wait for the end of the output after every descendant is gone. It only passes where a process
// outside the container holds the writing end, handed to it over a socket.
const drainTimeout = 5 * time.Second

// finish records how the command ended, when its whole log has been written.
func (s *supervision) finish(exit Exit, control *os.File) int {
	s.clients.ended()
	if s.terminal != nil {
		_ = s.terminal.Close()
	}
	drained := make(chan struct{})
	go func() {
		s.pumps.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-time.After(drainTimeout):
	}
	if s.isBeside() {
		s.tell(Report{Exit: &exit})
		return exitOK
	}
	exit.OOMKilled = s.spec.Cgroup.finish(s.isOrphan())
	s.record(exit)
	if exit.StartError != "" {
		s.tell(Report{Exit: &exit})
	}
	s.clients.end()
	_ = os.Remove(control.Name())
	return exitOK
}

// record writes the result. It must not be lost to a full disk: the container counts as running until it could be written. Where the folder is gone, or
// its user is, whose end it was to share, nobody wants to know any more.
func (s *supervision) record(exit Exit) {
	for {
		s.log.complete() // before anybody learns that there is nothing to come
		err := writeRecord(s.path(SuffixExit), exit, s.isOrphan())
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return
		}
		select {
		case <-s.abandoned:
			return
		case <-time.After(time.Second):
		}
	}
}
