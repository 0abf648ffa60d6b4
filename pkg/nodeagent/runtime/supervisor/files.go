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

import "os"

// standardFiles are the command's standard input, output and error.
type standardFiles struct {
	stdin, stdout, stderr *os.File
	// ours are those that are only the command's once it runs.
	ours []*os.File
}

func (f *standardFiles) close() {
	for _, file := range f.ours {
		_ = file.Close()
	}
}

// standardFiles makes the standard files of the command, and starts the pumps of a container's output. What it returns must be closed even with an error.
func (s *supervision) standardFiles() (*standardFiles, error) {
	switch {
	case s.isBeside():
		return &standardFiles{stdin: os.NewFile(LockFD, "stdin"), stdout: os.Stdout, stderr: os.Stderr}, nil
	case s.spec.TTY:
		return s.onTerminal()
	}
	return s.onPipes()
}

// onTerminal makes a terminal.
func (s *supervision) onTerminal() (*standardFiles, error) {
	ours, theirs, err := OpenTerminal()
	if err != nil {
		return &standardFiles{}, err
	}
	s.clients.terminal, s.terminal = ours, theirs
	if s.spec.Stdin {
		s.clients.input = ours
	}
	s.pump(ours, "stdout", PacketStdout)
	return &standardFiles{stdin: theirs, stdout: theirs, stderr: theirs}, nil
}

// onPipes makes a pipe for each of output and error, and for the input where it is to be open.
func (s *supervision) onPipes() (*standardFiles, error) {
	files := &standardFiles{}
	var err error
	if s.spec.Stdin {
		files.stdin, s.clients.input, err = os.Pipe()
	} else {
		files.stdin, err = os.OpenFile(os.DevNull, os.O_RDWR, 0)
	}
	if err != nil {
		return files, err
	}
	files.ours = append(files.ours, files.stdin)
	for _, output := range []struct {
		name string
		kind PacketKind
		file **os.File
	}{{"stdout", PacketStdout, &files.stdout}, {"stderr", PacketStderr, &files.stderr}} {
		read, write, err := os.Pipe()
		if err != nil {
			return files, err
		}
		*output.file = write
		files.ours = append(files.ours, write)
		s.pump(read, output.name, output.kind)
	}
	return files, nil
}

// pump writes what the container prints into its log, and sends it to the clients that are attached.
func (s *supervision) pump(read *os.File, name string, kind PacketKind) {
	s.pumps.Go(func() {
		s.log.pump(read, name, func(data []byte) { s.clients.printed(kind, data) })
		if read != s.clients.terminal { // that is resized and typed on until the very end
			_ = read.Close()
		}
	})
}
