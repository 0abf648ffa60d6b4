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

// Package conformance is a conformance suite for servers of Jobs: real Kubernetes, and jobserver in each of its modes. A test may
// judge jobserver only after real Kubernetes has passed it.
//
//	go test ./test/conformance                                                     runs a few tests on a jobserver in this process
//	go test ./test/conformance -args -kubeconfig FILE -profile node -group batch/v1  judges the server of a kubeconfig
//
// The command in cmd/conformance does the same and writes reports. The tests are in the package tests, what they are written with in
// the package suite.
package conformance
