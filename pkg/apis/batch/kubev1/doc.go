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

// +k8s:conversion-gen=github.com/jobserver-dev/jobserver/pkg/apis/batch
// +k8s:conversion-gen-external-types=k8s.io/api/batch/v1
// +k8s:defaulter-gen=TypeMeta
// +k8s:defaulter-gen-input=k8s.io/api/batch/v1
// +groupName=batch

// Package kubev1 serves Kubernetes' own batch/v1 Job: upstream's Go types with Kubernetes' defaults, converted to and from the
// hub. A batch/v1 object has no fields for our policies; the conversion leaves them nil, and the strategy of the
// batch group fills them in or carries them over.
package kubev1
