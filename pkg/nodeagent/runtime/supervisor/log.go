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
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"time"
)

// maxLine is the longest line, in bytes, that is written to the log in one piece: containerd's default. A longer one is
// written in parts, which readers join again.
const maxLine = 16 << 10

// timestampFormat is RFC 3339 with nine digits of a second, so that all timestamps are of one length.
const timestampFormat = "2006-01-02T15:04:05.000000000Z07:00"

// logFile is the container's log in the format of the CRI: "TIME STREAM TAG CONTENT", where the tag is F for a line that
// ended with a newline and P for a part of one. Both streams write to it.
//
// It is a row of files: ATTEMPT.log, ATTEMPT.log.1, ATTEMPT.log.2 and so on, the next one begun where an entry would be beyond the size of one, the first one
// deleted when there are too many. None is renamed, so that who reads knows what comes next.
type logFile struct {
	// path is that of the first file.
	path string
	// maxSize is the size in bytes from which on another file is begun, maxFiles how many are kept; zero: there is one file.
	maxSize  int64
	maxFiles int

	mu     sync.Mutex
	file   *os.File
	number int
	size   int64
	// lost is how many entries could not be written since the last one that could, and why; cut tells whether a part of one was.
	lost int
	why  error
	cut  bool
}

// openLog makes the log of an attempt.
func openLog(path string, maxSize int64, maxFiles int) (*logFile, error) {
	file, err := openLogFile(path)
	if err != nil {
		return nil, err
	}
	return &logFile{path: path, maxSize: maxSize, maxFiles: maxFiles, file: file}, nil
}

func openLogFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
}

// pump writes what it reads from r into the log until the end of r, and calls seen with each piece of it, at most maxLine bytes, as it came. Failing to
// write, on a full disk say, must never block or end the container: output is then lost, reading goes on, and the log says so as soon as it can be written again.
func (l *logFile) pump(r io.Reader, stream string, seen func([]byte)) {
	var (
		in   = make([]byte, maxLine)
		held = 0 // bytes at the start of in: a line whose end has not come yet
		out  bytes.Buffer
	)
	for {
		n, err := r.Read(in[held:])
		data := in[:held+n]
		out.Reset()
		stamp := time.Now().Format(timestampFormat)
		for {
			end := bytes.IndexByte(data, '\n')
			if end < 0 {
				break
			}
			appendEntry(&out, stamp, stream, "F", data[:end])
			data = data[end+1:]
			if out.Len() >= maxLine { // many short lines
				l.write(out.Bytes())
				out.Reset()
			}
		}
		if len(data) == len(in) || (err != nil && len(data) > 0) {
			appendEntry(&out, stamp, stream, "P", data)
			data = nil
		}
		l.write(out.Bytes())
		if n > 0 {
			seen(in[held : held+n])
		}
		held = copy(in, data)
		if err != nil {
			return
		}
	}
}

func appendEntry(out *bytes.Buffer, stamp, stream, tag string, content []byte) {
	out.WriteString(stamp)
	out.WriteByte(' ')
	out.WriteString(stream)
	out.WriteByte(' ')
	out.WriteString(tag)
	out.WriteByte(' ')
	out.Write(content)
	out.WriteByte('\n')
}

func (l *logFile) write(entries []byte) {
	if len(entries) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.maxSize > 0 && l.size > 0 && l.size+int64(len(entries)) > l.maxSize {
		l.rotate()
	}
	l.sayLost()
	if l.lost > 0 {
		l.lost += bytes.Count(entries, []byte{'\n'})
		return
	}
	l.append(entries)
}

// append writes entries and takes note of those that could not be written. It needs l.mu.
func (l *logFile) append(entries []byte) {
	n, err := l.file.Write(entries)
	l.size += int64(n)
	if err == nil {
		return
	}
	if n > 0 {
		l.cut = entries[n-1] != '\n'
	}
	l.lost, l.why = l.lost+bytes.Count(entries[n:], []byte{'\n'}), err
}

// sayLost writes an entry of our own about those that are missing before it, if there are any. It needs l.mu.
func (l *logFile) sayLost() {
	if l.lost == 0 {
		return
	}
	var entry bytes.Buffer
	if l.cut {
		entry.WriteByte('\n')
	}
	why := l.why
	if path := (*fs.PathError)(nil); errors.As(why, &path) {
		why = path.Err
	}
	appendEntry(&entry, time.Now().Format(timestampFormat), "stderr", "F", fmt.Appendf(nil, "jobserver: %d lines of this log are lost: %v", l.lost, why))
	n, err := l.file.Write(entry.Bytes())
	l.size += int64(n)
	switch {
	case err == nil:
		l.lost, l.why, l.cut = 0, nil, false
	case n > 0:
		l.cut = true
	}
}

// rotate begins another file and deletes the one that is too many. Where it can't, the log goes on where it is. It needs l.mu.
func (l *logFile) rotate() {
	next, err := openLogFile(logFileName(l.path, l.number+1))
	if err != nil {
		return
	}
	_ = l.file.Close()
	l.file, l.size = next, 0
	l.number++
	if first := l.number - l.maxFiles; first >= 0 {
		_ = os.Remove(logFileName(l.path, first))
	}
}

// logFileName is the name of a file of the log.
func logFileName(path string, number int) string {
	if number == 0 {
		return path
	}
	return path + "." + strconv.Itoa(number)
}

// complete has what is missing told, if it can be.
func (l *logFile) complete() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sayLost()
}
