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

// Package compare runs the same batch/v1 Jobs through the code of Kubernetes itself and through ours, and compares all that a client can
// see: the object after defaulting, after the strategy prepared it and once it is accepted, errors, warnings, table rows, labels and fields to
// select by, and the protobuf encoding.
//
// A side (sides_test.go) is one implementation, as its REST storage serves it. A pipeline (pipeline_test.go) takes a Job, or an old and a new
// one, through a side as the generic registry would and records an outcome. Where two outcomes differ, and no entry of
// differences_test.go says that they should, that is a failure.
//
// The Jobs are picked by hand for each rule (cases_*_test.go), and made by editing valid ones at random (jobs_test.go, mutate_test.go,
// random_test.go). Flags: -jobs for how many random ones, -seed for which.
package compare
