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
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// capabilityNames are the names of Linux' capabilities by their numbers (linux/capability.h), as the API has them.
var capabilityNames = []corev1.Capability{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE",
	"NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN",
	"SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE",
	"MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
}

const (
	allCapabilities      corev1.Capability = "ALL"
	everyCapability                        = 1<<64 - 1
	capabilitiesToSwitch                   = 1<<6 | 1<<7 // SETGID and SETUID
	capabilityToDrop                       = 1 << 8      // SETPCAP
)

// capabilityBit returns the bit of a capability; ALL has every bit.
func capabilityBit(name corev1.Capability) (bit uint64, known bool) {
	upper := corev1.Capability(strings.TrimPrefix(strings.ToUpper(string(name)), "CAP_"))
	if upper == allCapabilities {
		return everyCapability, true
	}
	number := slices.Index(capabilityNames, upper)
	if number < 0 {
		return 0, false
	}
	return 1 << number, true
}

// droppedCapabilities are those that the container loses of the server's: added ones survive `drop: ["ALL"]`, and a drop by name wins over all,
// as with containerd.
func (w *identity) droppedCapabilities() uint64 {
	if w.privileged || os.Geteuid() != 0 {
		return 0 // a server that isn't root has none to lose
	}
	kept := uint64(everyCapability)
	if slices.ContainsFunc(w.drop, func(name corev1.Capability) bool { bit, _ := capabilityBit(name); return bit == everyCapability }) {
		kept = 0
	}
	for _, name := range w.add {
		bit, _ := capabilityBit(name)
		kept |= bit
	}
	for _, name := range w.drop {
		if bit, _ := capabilityBit(name); bit != everyCapability {
			kept &^= bit
		}
	}
	return ^kept
}

// ownCapabilities are the capabilities that the server has, and may hand on to its children, by their bits.
var ownCapabilities = sync.OnceValue(func() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	own := uint64(everyCapability)
	for line := range bytes.Lines(status) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if string(name) != "CapEff" && string(name) != "CapBnd" {
			continue
		}
		bits, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 16, 64)
		if err != nil {
			return 0
		}
		own &= bits
	}
	return own
})
