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
	"context"
	"fmt"
	"math"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// Limits of termination messages, as of a kubelet: of one that a container wrote, of one taken from its log, and of all of a Pod's together.
const (
	messageFileBytes = 4 << 10
	messageLogBytes  = 2 << 10
	messageLogLines  = 80
	messagePodBytes  = 12 << 10
)

// messagePath is where the container sees the file for its termination message; empty: nowhere, where the server may not mount (support.go refuses all but
// the usual path then) or the container asks for none.
func messagePath(container *corev1.Container) string {
	if container.TerminationMessagePath == "" || runtime.CanMount() != nil {
		return ""
	}
	return path.Join("/", container.TerminationMessagePath)
}

// terminationMessage is what an attempt that has ended left to say: what it wrote to its terminationMessagePath or, where that is nothing and the policy says
// so of one that failed, the end of its log.
func (a *Agent) terminationMessage(container *corev1.Container, attempt *runtime.Container) string {
	message, err := a.runtime.Message(attempt.ID, messageFileBytes)
	if err != nil {
		message = fmt.Sprintf("Error on reading termination log %s: %v", container.TerminationMessagePath, err)
	}
	if message == "" && wantsLogMessage(container, attempt) {
		message = a.logTail(attempt.ID)
	}
	return validText(message)
}

// wantsLogMessage tells whether the end of an attempt's log is its termination message where it wrote none.
func wantsLogMessage(container *corev1.Container, attempt *runtime.Container) bool {
	return container.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError && attempt.ExitCode != 0 && attempt.Failure != runtime.FailureStart
}

// validText is the text as the API would have it: what isn't UTF-8 would come back changed, and look like news.
func validText(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// cutMessage keeps the beginning of a message, so that all those of the Pod's containers are within bounds.
func cutMessage(pod *corev1.Pod, message string) string {
	limit := messagePodBytes / (len(pod.Spec.InitContainers) + len(pod.Spec.Containers) + len(pod.Spec.EphemeralContainers))
	if len(message) <= limit {
		return message
	}
	return strings.ToValidUTF8(message[:limit], "") // of a character cut in two nothing is left
}

// logTail is the end of an attempt's log, as a termination message. A log that can't be read gives none.
func (a *Agent) logTail(id runtime.ID) string {
	source, err := a.openLog(id)
	if err != nil {
		return ""
	}
	defer source.Close()
	tail := &tailBuffer{}
	options := logOptions{tail: new(int64(messageLogLines)), limit: math.MaxInt64, stdout: tail, stderr: tail}
	if err := readLog(context.Background(), source, options); err != nil {
		return ""
	}
	return string(tail.data)
}

// tailBuffer keeps the last messageLogBytes of what is written to it.
type tailBuffer struct{ data []byte }

// Write implements io.Writer.
func (b *tailBuffer) Write(data []byte) (int, error) {
	b.data = append(b.data, data...)
	if excess := len(b.data) - messageLogBytes; excess > 0 {
		b.data = b.data[excess:]
	}
	return len(data), nil
}
