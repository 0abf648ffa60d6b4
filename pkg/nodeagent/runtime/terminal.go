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
	"os"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// OpenTerminal makes a terminal: what is written to ours is typed on it, and what theirs, its other side, prints is read from ours. Ours reads
// an error (EIO) once nobody has the other side open any more.
func OpenTerminal() (ours, theirs *os.File, err error) { return supervisor.OpenTerminal() }

// TerminalSize is the size of a terminal in characters.
type TerminalSize struct{ Width, Height uint16 }

// ResizeTerminal sets the size of a terminal. The processes on it are told (SIGWINCH).
func ResizeTerminal(ours *os.File, width, height uint16) error {
	return supervisor.ResizeTerminal(ours, width, height)
}
