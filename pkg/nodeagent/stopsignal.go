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
	"syscall"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// stopSignal is the signal that asks a container to end: SIGTERM, or what lifecycle.stopSignal says.
func stopSignal(container *corev1.Container) syscall.Signal {
	if container.Lifecycle != nil && container.Lifecycle.StopSignal != nil {
		if signal, ok := signalNumber(*container.Lifecycle.StopSignal); ok {
			return signal
		}
	}
	return syscall.SIGTERM
}

// signalNumber returns the number of a signal by its name, SIGUSR1 for example, on this machine.
func signalNumber(name corev1.Signal) (syscall.Signal, bool) {
	number := unix.SignalNum(string(name))
	return number, number != 0
}
