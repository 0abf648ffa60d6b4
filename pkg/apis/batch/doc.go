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

// +k8s:deepcopy-gen=package

// Package batch is the hub of jobserver's Job API: the internal form that both served groups, batch.jobserver.dev/v1
// (package v1) and Kubernetes' batch/v1 (package kubev1), are converted to and from.
//
// The Pod template keeps its external form (k8s.io/api/core/v1), so that nothing but package podtemplate
// depends on the internals of Kubernetes.
package batch
