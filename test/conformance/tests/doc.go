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

// Package tests holds the tests of the conformance suite, one file a subject. A test is a statement about Jobs with its source; its
// code says with the vocabulary of [suite.T] how one finds out.
//
// How to write one:
//
//   - State what a user of Jobs sees, nothing of how a server works inside.
//   - Let real Kubernetes pass it first. Where it doesn't, the test is wrong until the defect of Kubernetes has a name.
//   - Never sleep, and never test that something is fast. That something does not happen is shown by waiting for what comes after it.
//   - Use literals where the wire sees them, not constants of ours.
//   - Say group-independent things where they hold in both groups; mark with KubernetesPolicies what depends on the three policies.
package tests
