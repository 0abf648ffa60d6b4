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
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Exit codes of a command that could not be started: those of a shell, and of Kubernetes with Docker as its runtime.
const (
	// CodeNotFound: the command doesn't exist.
	CodeNotFound = 127
	// CodeNotExecutable: it exists, but can't be run.
	CodeNotExecutable = 126
	// CodeCannotSetUp: what the container needs beside the command could not be set up. It is runc's code.
	CodeCannotSetUp = 128
)

// startError is a command that could not be started.
type startError struct {
	code    int
	message string
}

func (e *startError) Error() string { return e.message }

// lookUp finds the file of a command as execvp does, in the PATH of the container's environment and not in ours.
// A name with a slash is a path, relative to the container's working directory.
func lookUp(name, path, workingDir string) (string, *startError) {
	if strings.Contains(name, "/") {
		file := name
		if !isAbs(file) {
			file = join(workingDir, file)
		}
		if err := executable(file); err != nil {
			code := CodeNotExecutable
			if errors.Is(err, fs.ErrNotExist) {
				code = CodeNotFound
			}
			return "", &startError{code, fmt.Sprintf("exec: %q: %v", name, err)}
		}
		return file, nil
	}
	found := false
	for _, directory := range strings.Split(path, ":") {
		if !isAbs(directory) {
			// A relative entry would look the command up in the working directory, which anyone may have written to.
			continue
		}
		file := join(directory, name)
		err := executable(file)
		if err == nil {
			return file, nil
		}
		found = found || errors.Is(err, fs.ErrPermission)
	}
	if found {
		return "", &startError{CodeNotExecutable, fmt.Sprintf("exec: %q: permission denied", name)}
	}
	return "", &startError{CodeNotFound, fmt.Sprintf("exec: %q: executable file not found in $PATH", name)}
}

// executable returns nil for a file that may be executed, judged by its mode: the kernel has the last word.
func executable(file string) error {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("is a directory")
	case info.Mode()&0o111 == 0:
		return fs.ErrPermission
	}
	return nil
}

// start starts the command of spec as leader of a new session, with its output going to stdout and stderr.
// It must run on the main goroutine during init, which the Go runtime keeps on the main thread: see Pdeathsig.
func start(spec *Spec, placed *placement, stdin, stdout, stderr *os.File) (int, *startError) {
	if err := findWorkingDir(spec); err != nil {
		return 0, err
	}
	file, lookUpErr := lookUp(spec.Argv[0], environmentValue(spec.Env, "PATH"), spec.WorkingDir)
	if lookUpErr != nil {
		return 0, lookUpErr
	}
	if err := spec.Rights.limit(); err != nil {
		return 0, &startError{CodeCannotSetUp, err.Error()}
	}
	spec.Rights.giveFiles(stdin, stdout, stderr)
	directory, leave, err := enterDirectory(spec)
	if err != nil {
		return 0, badWorkingDir(spec, err)
	}
	defer leave()
	attributes := &syscall.SysProcAttr{
		Setsid:     true,
		Setctty:    spec.TTY, // Ctty 0 is the standard input
		Credential: spec.Rights.credential(),
		// A supervisor that is killed takes the command with it: without one, nobody learns how the command ends. The
		// signal is sent when the *thread* that forked ends, so that thread has to be the main one.
		Pdeathsig: syscall.SIGKILL,
	}
	pid, err := placed.fork(attributes, func() (int, error) {
		return syscall.ForkExec(file, spec.Argv, &syscall.ProcAttr{
			Dir: directory, Env: spec.Env, Files: []uintptr{stdin.Fd(), stdout.Fd(), stderr.Fd()}, Sys: attributes,
		})
	})
	if err != nil {
		code := CodeNotExecutable
		if errors.Is(err, fs.ErrNotExist) {
			code = CodeNotFound // the interpreter that a script names
		}
		return 0, &startError{code, fmt.Sprintf("exec: %q: %v", spec.Argv[0], err)}
	}
	return pid, nil
}

// findWorkingDir checks that the working directory is there. Where it is in a volume that may be written, it is made, as container runtimes do in the container's
// own file system; the machine's is left as it is.
func findWorkingDir(spec *Spec) *startError {
	info, err := os.Stat(spec.WorkingDir)
	if errors.Is(err, fs.ErrNotExist) && spec.View.mayMake(spec.WorkingDir) {
		if err := os.MkdirAll(spec.WorkingDir, 0o755); err != nil {
			return badWorkingDir(spec, err)
		}
		info, err = os.Stat(spec.WorkingDir)
	}
	switch {
	case err != nil:
		return badWorkingDir(spec, err)
	case !info.IsDir():
		return badWorkingDir(spec, syscall.ENOTDIR)
	}
	return nil
}

// badWorkingDir is a working directory that can't be used, with the code that Docker makes of it.
func badWorkingDir(spec *Spec, err error) *startError {
	code := CodeNotExecutable
	if errors.Is(err, fs.ErrNotExist) {
		code = CodeNotFound
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return &startError{code, fmt.Sprintf("chdir to cwd (%q) failed: %v", spec.WorkingDir, err)}
}

// enterDirectory returns the directory that the command changes to, and how to leave the one that the supervisor has changed to. Another user may not
// be able to reach its working directory, below a data folder that is closed to it: it finds itself there then.
func enterDirectory(spec *Spec) (directory string, leave func(), err error) {
	if spec.Rights.User == nil {
		return spec.WorkingDir, func() {}, nil
	}
	if err := syscall.Chdir(spec.WorkingDir); err != nil {
		return "", nil, &os.PathError{Op: "chdir", Path: spec.WorkingDir, Err: err}
	}
	return "", func() { _ = syscall.Chdir("/") }, nil
}

// environmentValue returns the last value of a variable, as execve's callee would see it.
func environmentValue(environment []string, name string) string {
	for i := len(environment) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(environment[i], name+"="); ok {
			return value
		}
	}
	return ""
}
