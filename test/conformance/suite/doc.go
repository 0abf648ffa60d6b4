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

// Package suite is the engine of the conformance suite: what a test is, which server it runs against, what it may say to that
// server and expect of it, how tests are run side by side, and how the outcome is reported.
//
// A test sees a server through a [T] only. It knows neither which server that is nor through which of the two groups it
// reaches Jobs, unless it asks; so one test judges Kubernetes and jobserver alike.
//
// The tests themselves are in the neighbouring package tests.
package suite
