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

// Package crash kills a standalone server with SIGKILL, again and again, while Jobs of every sort run, and then asks whether anything was
// lost or done twice.
//
// The server is the built binary with nothing special in it. Where it is hit is decided by its own write-ahead log: everything that it changes
// is a record there before anybody is told, so a test that reads the log as it grows (wal_test.go) can kill the server at a write of its
// choice: as a Pod is created, bound or seen to end, as a Job's status takes note of it, as a finalizer is released. Kills at
// random moments, the start of the server among them, come on top.
//
// What was run is not taken from the API but from diaries, files outside of the server's folder that the processes of the Pods write to.
package crash
