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
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

// Logs are read by code of our own because the library that a kubelet reads them with, k8s.io/cri-client/pkg/logs, takes an inotify
// instance for each log it follows, of which Linux grants a user 128, and `apiserver run` follows every container of a Job. That
// library defines what each option means; the tests compare with it.

// How long a follower waits before it looks for more output: from followMin after there was some, doubled up to followMax while
// there is none. A look is one read(2), so that hundreds of followers of silent containers cost little. The end of the container is not waited for.
const (
	followMin = 10 * time.Millisecond
	followMax = 200 * time.Millisecond
)

// logTimeFormat is RFC 3339 with nine digits of a second, for timestamps shown to users.
const logTimeFormat = "2006-01-02T15:04:05.000000000Z07:00"

// logOptions say what is read of a log, and where to.
type logOptions struct {
	// tail is the number of entries from the end to begin with; nil: all. Without ended, what is added while reading is not read.
	tail *int64
	// since leaves out entries of earlier times.
	since time.Time
	// timestamps puts its time before each line.
	timestamps bool
	// limit ends the copy after so many bytes, timestamps included.
	limit int64
	// stdout and stderr are where the streams go; nil leaves one out.
	stdout, stderr io.Writer
	// ended is closed once the log is complete. With it the log is followed until then; nil: read to its present end.
	ended <-chan struct{}
}

// errLimit ends a copy that has reached its limit.
var errLimit = errors.New("limit reached")

// readLog copies a log, which is in the CRI's format, as options ask for it. It returns when it is at the log's end, and with an
// error where reading or writing fails or ctx ends.
func readLog(ctx context.Context, source *logSource, options logOptions) error {
	left := int64(-1)
	if options.tail != nil {
		if err := source.seekTail(*options.tail); err != nil {
			return fmt.Errorf("find the end of the log: %w", err)
		}
		if options.ended == nil {
			left = *options.tail
		}
	}
	var (
		target  = &logCopy{options: options, lineStart: true}
		reader  = bufio.NewReader(source)
		entry   []byte
		waiting = followMin
		atEnd   = options.ended == nil
	)
	for left != 0 {
		data, err := reader.ReadBytes('\n')
		entry = append(entry, data...)
		switch {
		case err == nil, errors.Is(err, io.EOF) && atEnd && len(entry) > 0:
			known, err := target.copy(ctx, entry)
			if errors.Is(err, errLimit) {
				return nil
			}
			if err != nil {
				return err
			}
			if known && left > 0 {
				left--
			}
			entry, waiting = entry[:0], followMin
		case !errors.Is(err, io.EOF):
			return fmt.Errorf("read the log: %w", err)
		case atEnd:
			return nil
		default:
			// Once the log is complete, it is read up to its end once more: what was added since the last look is still to come.
			if atEnd, err = waitForMore(ctx, options.ended, waiting); err != nil {
				return err
			}
			waiting = min(2*waiting, followMax)
		}
	}
	return nil
}

// waitForMore waits until it is time to look again, and tells whether the log is complete.
func waitForMore(ctx context.Context, ended <-chan struct{}, wait time.Duration) (complete bool, err error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-ended:
		return true, nil
	case <-timer.C:
		return false, nil
	}
}

// logCopy writes entries of a log to where they go.
type logCopy struct {
	options logOptions
	// lineStart is true where the next entry is the beginning of a line, not another part of one.
	lineStart bool
}

// copy writes one entry where the options ask for it. An entry that isn't one, the trace of a full disk, is left out: known is false then.
func (c *logCopy) copy(ctx context.Context, line []byte) (known bool, err error) {
	entry, err := parseEntry(line)
	if err != nil {
		klog.FromContext(ctx).V(2).Info("Left out a line of a log that is no entry", "reason", err.Error())
		return false, nil
	}
	start := c.lineStart
	c.lineStart = len(entry.content) == 0 || entry.content[len(entry.content)-1] == '\n'
	target := c.options.stdout
	if entry.stream == corev1.LogStreamStderr {
		target = c.options.stderr
	}
	if target == nil || entry.time.Before(c.options.since) {
		return true, nil
	}
	content := entry.content
	if c.options.timestamps && start {
		content = append(entry.time.AppendFormat(nil, logTimeFormat+" "), content...)
	}
	content = content[:min(int64(len(content)), c.options.limit)]
	written, err := target.Write(content)
	c.options.limit -= int64(written)
	if err != nil {
		return true, fmt.Errorf("pass on the log: %w", err)
	}
	if c.options.limit <= 0 {
		return true, errLimit
	}
	return true, nil
}

// logEntry is one line of a log file. Its content has its newline, unless it is a part of a longer line with more to come.
type logEntry struct {
	time    time.Time
	stream  string // corev1.LogStreamStdout or Stderr
	content []byte
}

// parseEntry reads "TIME STREAM TAG CONTENT", the CRI's format. TAG may be several, with colons between; the first is P for a part of a line, F for its end.
func parseEntry(line []byte) (logEntry, error) {
	fields := bytes.SplitN(line, []byte{' '}, 4)
	if len(fields) < 4 {
		return logEntry{}, fmt.Errorf("%d fields instead of 4", len(fields))
	}
	at, err := time.Parse(time.RFC3339Nano, string(fields[0]))
	if err != nil {
		return logEntry{}, err
	}
	entry := logEntry{time: at, content: fields[3]}
	switch {
	case bytes.EqualFold(fields[1], []byte(corev1.LogStreamStdout)):
		entry.stream = corev1.LogStreamStdout
	case bytes.EqualFold(fields[1], []byte(corev1.LogStreamStderr)):
		entry.stream = corev1.LogStreamStderr
	default:
		return logEntry{}, fmt.Errorf("unknown stream %q", fields[1])
	}
	if tag, _, _ := strings.Cut(string(fields[2]), ":"); tag == "P" {
		entry.content = bytes.TrimSuffix(entry.content, []byte{'\n'})
	}
	return entry, nil
}
