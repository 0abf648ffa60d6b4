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

// Package aggregated tests the server behind a real kube-apiserver: installed from artifacts/kustomize, with a real
// kube-controller-manager beside it, "apiserver node" as the cluster's node, and a real kubectl in front. It knows nothing of the product but
// its binary and its manifests.
//
// Tests that leave the installation alone share one and have a namespace each; those that break something have their own.
package aggregated
