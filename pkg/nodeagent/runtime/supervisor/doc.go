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

// Package supervisor is the small program that stands between the node agent and one container's processes.
//
// # Why a process of its own
//
// A container has to outlive the server: a server that is killed, upgraded or crashed must not end the work it started, and
// must learn later how that work ended. Only the parent of a process learns its exit code, so the parent can't be the server.
// Each container therefore gets a supervisor: a small executable that the server carries in it (package program says why), or the server's own, started
// under the name [Marker]. It starts
// the command in a session of its own, writes what the command prints into the container's log, waits for it, kills whatever
// the command left behind, writes the exit record and ends.
//
// # Why it takes over in init
//
// The server's own executable holds an API server and etcd, whose package initialisation alone costs tens of milliseconds and megabytes.
// Of the packages whose imports are done, the Go runtime initialises the one first whose import path is first in the alphabet, and the init function here never returns
// in a process that was started as a supervisor: what comes after it is never initialised or paged in. Hence the rule of this package: import
// only packages of the standard library that are done early. One like path or runtime/debug, whose own path is far down in the alphabet, would have most of
// github.com and golang.org come before; encoding/json and all that it needs are done early. TestSupervisorIsInitialisedEarly of
// package nodeagent watches over this, and GODEBUG=inittrace=1 shows what comes first. docs/performance.md says what a supervisor costs.
//
// # What is on disk
//
// Everything about one attempt at running a container lies in one folder, with the attempt's number in front:
//
//	0.intent   written by the agent before anything is started; locked (flock) by agent and supervisor while either can still act
//	0.running  written by the supervisor before the command is started, and again with the command's process id
//	0.exit     written by the supervisor at the very end
//	0.stop     written by the agent before it asks for the end
//	0.ctl      named pipe, agent to supervisor: "stop SIGNAL MILLISECONDS" asks for the end, "attach SOCKET" for a connection with a client
//	0.log      what the container printed, in the log format of the CRI; goes on in 0.log.1 and so on
//	0.message  what the container writes to its terminationMessagePath, where this is mounted
//
// The crash windows between them, and what a new agent concludes:
//
//	no intent                      nothing was started
//	intent, locked                 the supervisor lives: wait for it
//	intent, not locked, no running the command was never started, and nobody will start it (same boot): it may be started now
//	running, not locked, no exit   the supervisor was killed: kill what is left of the command; how it ended is unknown
//	exit                           it ended so
//
// All records are replaced by rename, never written in place, so that a reader sees a whole record or none.
//
// # What is synced
//
// Nothing above needs fsync against the death of a process, by kill -9 of the server say: what was written is in the kernel's page cache and
// seen by whoever comes next. A sync would only buy something for the half minute before a power cut (a shutdown syncs by itself).
// With the power go all processes, the boot id tells the next agent, and so each record is judged by what its loss would mean then:
//
//	intent, running  An attempt without exit is lost after a reboot, whether its records are whole, empty or older. One whose records are all
//	                 missing counts as never started, and is started unless the Pod's status in the API says that it was, which the agent writes
//	                 50 ms after the start. Kubernetes gives the same promise: a command that was interrupted so may run again. The same
//	                 window was open with a sync of the file alone, since it is the rename after it that makes the attempt known.
//	exit             While the server lives, the result is in the API, and synced by etcd, milliseconds after it is written here. While it
//	                 doesn't, this record is all there is, maybe for days: a supervisor whose agent is gone therefore syncs record and folder.
//	exit as lost     It says what the next agent would find again by the boot id.
//	stop, Pod        Their loss costs nothing once the processes are gone.
package supervisor
