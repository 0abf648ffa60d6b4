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

package suite

import "time"

// All times of the suite. A deadline ends only what fails anyway, so it is long enough for a machine under heavy load; a bound on
// how fast something happens is never tested, because a slow machine would break it.
const (
	// DefaultWait is how long a test waits for one thing to happen, unless the run says otherwise.
	DefaultWait = 90 * time.Second

	// patience is by how much longer than for one thing a test waits for what a server looks for now and then only, such as Nodes that
	// are gone: Kubernetes takes up to a minute until it believes that, jobserver two.
	patience = 3

	// readyTimeout is how long a server, and a node of it, may take to be there when a run begins.
	readyTimeout = time.Minute

	// testTimeout is how long a whole test may take.
	testTimeout = 6 * time.Minute

	// cleanupTimeout is how long a server may take to remove what one test, or all of them, left in it.
	cleanupTimeout = 5 * time.Minute

	// accountTimeout is how long a new namespace may take to get the ServiceAccount without which Pods are refused. A server
	// may have that switched off, so that its end is no failure.
	accountTimeout = 20 * time.Second

	// firstPoll and slowestPoll are the first and the longest pause between two looks at the server.
	firstPoll   = 20 * time.Millisecond
	slowestPoll = 250 * time.Millisecond

	// probeTimeout is how long the server may take for each question about its features.
	probeTimeout = 30 * time.Second

	// GracePeriod is the termination grace period of Pods that the suite plays the kubelet for. Nothing waits for its end.
	GracePeriod = 300 * time.Second
)
