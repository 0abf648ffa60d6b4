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
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cri-client/pkg/logs"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// randomLog is a log of whole lines and parts of both streams, a second apart from one another.
func randomLog(random *rand.Rand, begin time.Time) string {
	var log strings.Builder
	for i := range random.IntN(60) {
		stamp := begin.Add(time.Duration(i) * time.Second).Format(logTimeFormat)
		stream := []string{"stdout", "stderr"}[random.IntN(2)]
		tag := []string{"F", "F", "P", "F:extra"}[random.IntN(4)]
		// Now and then longer than the block in which tailStart looks for lines.
		content := strings.Repeat("x ", random.IntN(10)*random.IntN(10)*random.IntN(300))
		fmt.Fprintf(&log, "%s %s %s %s\n", stamp, stream, tag, content)
	}
	return log.String()
}

// splitLog writes a log into one file or several.
func splitLog(t *testing.T, random *rand.Rand, log string) func() ([]runtime.LogFile, error) {
	t.Helper()
	var files []runtime.LogFile
	folder := t.TempDir()
	for number := 0; number == 0 || log != ""; number++ {
		content := log
		if lines := strings.SplitAfter(log, "\n"); len(lines) > 2 && random.IntN(3) > 0 {
			content = strings.Join(lines[:random.IntN(len(lines))], "")
		}
		log = log[len(content):]
		path := fmt.Sprintf("%s/0.log.%d", folder, number)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, runtime.LogFile{Number: number, Path: path})
	}
	return func() ([]runtime.LogFile, error) { return files, nil }
}

// The library that a kubelet reads logs with says what each option means.
func TestReadLogAsKubelet(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 1, 2, 3, 4, 5, 123456000, time.UTC)
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0))
		path := filepath.Join(t.TempDir(), "0.log")
		log := randomLog(random, begin)
		if err := os.WriteFile(path, []byte(log), 0o600); err != nil {
			t.Fatal(err)
		}
		theirs := &logs.LogOptions{Timestamp: random.IntN(2) == 0}
		ours := logOptions{timestamps: theirs.Timestamp, limit: math.MaxInt64}
		if random.IntN(2) == 0 {
			ours.tail = new(random.Int64N(70))
			theirs.TailLines = ours.tail
		}
		if random.IntN(2) == 0 {
			theirs.LimitBytes = new(1 + random.Int64N(10000))
			ours.limit = *theirs.LimitBytes
		}
		if random.IntN(2) == 0 {
			theirs.Since = begin.Add(time.Duration(random.IntN(70)) * time.Second)
			ours.since = theirs.Since
		}
		var want, got [2]bytes.Buffer
		writers := func(buffers *[2]bytes.Buffer, streams int) (stdout, stderr io.Writer) {
			if streams&1 != 0 {
				stdout = &buffers[0]
			}
			if streams&2 != 0 {
				stderr = &buffers[1]
			}
			return stdout, stderr
		}
		streams := 1 + random.IntN(3)
		stdout, stderr := writers(&want, streams)
		if err := logs.ReadLogs(context.Background(), path, "", theirs, nil, stdout, stderr); err != nil {
			t.Fatal(err)
		}
		ours.stdout, ours.stderr = writers(&got, streams)
		source, err := openLog(splitLog(t, random, log))
		if err != nil {
			t.Fatal(err)
		}
		if err := readLog(t.Context(), source, ours); err != nil {
			t.Error(err)
		}
		_ = source.Close()
		for i, stream := range []string{"stdout", "stderr"} {
			if diff := cmp.Diff(want[i].String(), got[i].String()); diff != "" {
				t.Fatalf("seed %d: %s differs from a kubelet's (-kubelet +ours):\n%s", seed, stream, diff)
			}
		}
	}
}

func TestReadLogFollows(t *testing.T) {
	t.Parallel()
	const stamp = "2026-01-02T03:04:05.000000006Z"
	folder := t.TempDir()
	var mu sync.Mutex
	var files []runtime.LogFile
	var writer *os.File
	begin := func(number int) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		path := fmt.Sprintf("%s/0.log.%d", folder, number)
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		writer = file
		files = append(files, runtime.LogFile{Number: number, Path: path})
	}
	write := func(text string) {
		t.Helper()
		if _, err := writer.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	begin(0)
	write(stamp + " stdout F zero\n" + stamp + " stdout F one\n")
	source, err := openLog(func() ([]runtime.LogFile, error) {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(files), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	reader, target := io.Pipe()
	ended := make(chan struct{})
	options := logOptions{tail: new(int64(1)), limit: math.MaxInt64, stdout: target, stderr: target, ended: ended}
	go func() { _ = target.CloseWithError(readLog(t.Context(), source, options)) }()
	expect := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(reader, got); err != nil || string(got) != want {
			t.Fatalf("read %q, error %v; want %q", got, err, want)
		}
	}
	expect("one\n")
	write(stamp + " stdo") // an entry in two writes
	write("ut P tw")
	write("o\n" + stamp + " stderr F x\nno entry\n")
	expect("twox\n")
	write(stamp + " stdout F end of a file\n")
	begin(1)
	write(stamp + " stdout F next file\n")
	begin(2)
	expect("end of a file\nnext file\n")
	write(stamp + " stdout F third file\n")
	expect("third file\n")
	mu.Lock()
	files = nil // deleted: it was read to its end, and the next one is number 7
	mu.Unlock()
	begin(7)
	write(stamp + " stdout F much later\n")
	expect("much later\n")
	// What is written right before the end is read too, even the torn entry of a full disk.
	write(stamp + " stdout F last\n" + stamp + " stdout F to")
	close(ended)
	rest, err := io.ReadAll(reader)
	if err != nil || string(rest) != "last\nto" {
		t.Errorf("read %q, error %v", rest, err)
	}
}
