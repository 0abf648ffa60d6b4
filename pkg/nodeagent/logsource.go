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

package nodeagent

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// logSource reads the files of one log as if they were one. It is at its end (io.EOF) where there is no more at the moment; more may come.
type logSource struct {
	// list lists the files, in the order of their being written.
	list func() ([]runtime.LogFile, error)
	file *os.File
	// number is the file's; following is true once there is a file after it, which makes what is in it now all of it.
	number    int
	following bool
}

// openLog opens a log at its beginning. The error satisfies errors.Is(err, os.ErrNotExist) where there is none.
func openLog(list func() ([]runtime.LogFile, error)) (*logSource, error) {
	source := &logSource{list: list, number: -1}
	found, err := source.next()
	if err == nil && !found {
		err = os.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return source, nil
}

// openLog opens the log of an attempt.
func (a *Agent) openLog(id runtime.ID) (*logSource, error) {
	return openLog(func() ([]runtime.LogFile, error) { return a.runtime.LogFiles(id) })
}

// Read implements io.Reader.
func (s *logSource) Read(data []byte) (int, error) {
	for {
		n, err := s.file.Read(data)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		if s.following {
			if _, err := s.next(); err != nil {
				return 0, err
			}
			continue
		}
		// What was written to the file before the next one was begun is still to come.
		files, err := s.list()
		if err != nil {
			return 0, err
		}
		if len(files) == 0 || files[len(files)-1].Number <= s.number {
			return 0, io.EOF
		}
		s.following = true
	}
}

// Close implements io.Closer.
func (s *logSource) Close() error { return s.file.Close() }

// next opens the file that comes after the present one, and tells whether there is one. Some may have been deleted meanwhile.
func (s *logSource) next() (bool, error) {
	for {
		files, err := s.list()
		if err != nil {
			return false, err
		}
		at := 0
		for at < len(files) && files[at].Number <= s.number {
			at++
		}
		if at == len(files) {
			s.following = false
			return false, nil
		}
		switch err := s.use(files[at], 0); {
		case err == nil:
			s.following = at < len(files)-1
			return true, nil
		case !errors.Is(err, os.ErrNotExist):
			return false, err
		}
		s.number = files[at].Number // deleted since it was listed
	}
}

// use goes to an offset in a file.
func (s *logSource) use(which runtime.LogFile, offset int64) error {
	file, err := os.Open(which.Path)
	if err != nil {
		return err
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		_ = file.Close()
		return err
	}
	if s.file != nil {
		_ = s.file.Close()
	}
	s.file, s.number, s.following = file, which.Number, false
	return nil
}

// seekTail goes to where the last count whole lines of the log begin. What follows the last newline is no line.
func (s *logSource) seekTail(count int64) error {
	files, err := s.list()
	if err != nil {
		return err
	}
	for i := len(files) - 1; i >= 0; i-- {
		file, err := os.Open(files[i].Path)
		if errors.Is(err, os.ErrNotExist) {
			return nil // it, and all before it, were deleted
		}
		if err != nil {
			return err
		}
		start, left, err := tailStart(file, count)
		_ = file.Close()
		if err == nil {
			err = s.use(files[i], start)
		}
		if err != nil || left == 0 {
			return err
		}
		count = left
	}
	return nil
}

// tailBlock is how much is read at a time in search of the last lines.
const tailBlock = 16 << 10

// tailStart returns where the last count whole lines of the file begin, and how many it has too few. What follows the last newline is no line.
func tailStart(file *os.File, count int64) (start, left int64, err error) {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, 0, err
	}
	block := make([]byte, tailBlock)
	for end > 0 {
		size := min(end, tailBlock)
		if _, err := file.ReadAt(block[:size], end-size); err != nil {
			return 0, 0, err
		}
		for i := size - 1; i >= 0; i-- {
			if block[i] != '\n' {
				continue
			}
			// The newline of the line before the first one wanted.
			if count == 0 {
				return end - size + i + 1, 0, nil
			}
			count--
		}
		end -= size
	}
	return 0, count, nil
}
