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
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// When the machine is short of something. Nothing is evicted for it: the Node says so, and no further Pods are scheduled to it. The thresholds are
// a kubelet's defaults, but for large disks, where a tenth is plenty, and for processes, for which a kubelet has none.
const (
	memoryThreshold = 100 << 20
	diskThreshold   = 1 << 30 // or a tenth of the disk, where that is less
	inodesPercent   = 5
	pidsThreshold   = 256
)

// headroom is what is left on the machine. A negative value is not known, and no reason for anything.
type headroom struct {
	memory, disk, diskSize, inodes, inodesTotal, pids int64
}

// readHeadroom looks at the machine.
func readHeadroom(rootDir string) headroom {
	free := headroom{memory: memoryAvailable(), disk: -1, inodes: -1, pids: pidsAvailable()}
	var disk unix.Statfs_t
	if unix.Statfs(rootDir, &disk) == nil {
		free.disk, free.diskSize = int64(disk.Bavail)*disk.Bsize, int64(disk.Blocks)*disk.Bsize
		if disk.Files > 0 { // some file systems don't count
			free.inodes, free.inodesTotal = int64(disk.Ffree), int64(disk.Files)
		}
	}
	return free
}

// conditions are the Node's conditions about it, without times: the reasons and messages of a kubelet, and how much is left where it is too little.
func (h headroom) conditions() []corev1.NodeCondition {
	pressure := func(kind corev1.NodeConditionType, what, reason, fine, short string) corev1.NodeCondition {
		if short == "" {
			return corev1.NodeCondition{Type: kind, Status: corev1.ConditionFalse, Reason: fine, Message: "kubelet has " + what}
		}
		return corev1.NodeCondition{Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: short}
	}
	return []corev1.NodeCondition{
		pressure(corev1.NodeMemoryPressure, "sufficient memory available", "KubeletHasInsufficientMemory", "KubeletHasSufficientMemory", h.memoryShort()),
		pressure(corev1.NodeDiskPressure, "no disk pressure", "KubeletHasDiskPressure", "KubeletHasNoDiskPressure", h.diskShort()),
		pressure(corev1.NodePIDPressure, "sufficient PID available", "KubeletHasInsufficientPID", "KubeletHasSufficientPID", h.pidsShort()),
	}
}

func (h headroom) memoryShort() string {
	if h.memory < 0 || h.memory >= memoryThreshold {
		return ""
	}
	return "the machine has less than 100Mi of memory available"
}

func (h headroom) diskShort() string {
	if h.disk >= 0 && h.disk < min(diskThreshold, h.diskSize/10) {
		return "the disk of the node's folder has less than 1Gi, or a tenth, left"
	}
	if h.inodes >= 0 && h.inodes < h.inodesTotal*inodesPercent/100 {
		return fmt.Sprintf("the disk of the node's folder has less than %d%% of its inodes left", inodesPercent)
	}
	return ""
}

func (h headroom) pidsShort() string {
	if h.pids < 0 || h.pids >= pidsThreshold {
		return ""
	}
	return fmt.Sprintf("the machine can start less than %d processes more", pidsThreshold)
}

// memoryAvailable is what the kernel expects to be able to give to new processes.
func memoryAvailable() int64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				return -1
			}
			return kib << 10
		}
	}
	return -1
}

// pidsAvailable is how many threads the kernel's limits leave room for.
func pidsAvailable() int64 {
	limit := int64(-1)
	for _, name := range []string{"pid_max", "threads-max"} {
		if value, err := strconv.ParseInt(readLine(filepath.Join("/proc/sys/kernel", name)), 10, 64); err == nil && (limit < 0 || value < limit) {
			limit = value
		}
	}
	// The fourth field is the number of threads that run, and of all.
	fields := strings.Fields(readLine("/proc/loadavg"))
	if limit < 0 || len(fields) < 4 {
		return -1
	}
	_, all, _ := strings.Cut(fields[3], "/")
	threads, err := strconv.ParseInt(all, 10, 64)
	if err != nil {
		return -1
	}
	return max(0, limit-threads)
}
