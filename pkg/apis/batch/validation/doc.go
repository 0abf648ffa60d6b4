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

// Package validation decides which Jobs are stored: what may be created, what may change and which status may follow which. It works on the
// hub, so one set of rules serves both groups; the few that differ are Options.
//
// The rules are those of Kubernetes 1.37, error by error: the same type, field and detail, in the same order. Their numbers
// in the comments and tests are those of the Job reference: M for metadata and selector, J for the spec, S for
// the status. The policies of our own group add theirs (policies.go).
//
// Objects are expected to be defaulted, but any field may be nil: nothing here panics on one.
package validation
