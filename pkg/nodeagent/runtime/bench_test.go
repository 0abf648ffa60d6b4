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
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// BenchmarkTrue runs "true" in containers, one after the other, as the node agent has them by default. SUPERVISOR names the executable that becomes
// the supervisors: bin/apiserver shows what users have, the test's own is smaller. cpu-ms/op is the processor time of all processes, which a busy machine
// changes less than the time that passes.
func BenchmarkTrue(b *testing.B) {
	supervisorPath := os.Getenv("SUPERVISOR")
	if supervisorPath == "" {
		supervisorPath = "/proc/self/exe"
	}
	changes := make(chan types.UID, 1)
	process, err := NewProcess(ProcessConfig{
		RootDir: filepath.Join(b.TempDir(), "node"), SupervisorPath: supervisorPath, OnChange: func(uid types.UID) { changes <- uid },
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(process.Close)
	if err := process.Recover(b.Context()); err != nil {
		b.Fatal(err)
	}
	before := usedCPU(b)
	for i := 0; b.Loop(); i++ {
		id := ID{PodUID: types.UID(fmt.Sprintf("pod-%d", i)), Container: "main"}
		if _, err := process.Prepare(b.Context(), Pod{UID: id.PodUID, Namespace: "default", Name: "true"}); err != nil {
			b.Fatal(err)
		}
		if _, err := process.Start(b.Context(), StartRequest{
			ID: id, Argv: []string{"true"}, Env: []string{"PATH=/usr/bin:/bin"}, WorkingDir: process.WorkingDir(id.PodUID), MessagePath: usualMessagePath,
			StopSignal: syscall.SIGTERM, Grace: time.Second,
		}); err != nil {
			b.Fatal(err)
		}
		<-changes
		if ended := process.Containers(id.PodUID); len(ended) != 1 || ended[0].Running || ended[0].ExitCode != 0 || ended[0].Failure != FailureNone {
			b.Fatalf("the container ended with %+v", ended)
		}
		if err := process.Remove(id.PodUID); err != nil {
			b.Fatal(err)
		}
	}
	after := usedCPU(b)
	b.ReportMetric(float64((after.own-before.own).Microseconds())/1000/float64(b.N), "own-cpu-ms/op")
	b.ReportMetric(float64((after.children-before.children).Microseconds())/1000/float64(b.N), "children-cpu-ms/op")
}

// cpu is processor time, in user mode and in the kernel.
type cpu struct{ own, children time.Duration }

func usedCPU(b *testing.B) cpu {
	b.Helper()
	used := func(who int) time.Duration {
		var usage syscall.Rusage
		if err := syscall.Getrusage(who, &usage); err != nil {
			b.Fatal(err)
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return cpu{own: used(syscall.RUSAGE_SELF), children: used(syscall.RUSAGE_CHILDREN)}
}
