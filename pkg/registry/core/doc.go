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

// Package core serves core/v1 in standalone mode: the namespaces, Pods, nodes, events, configMaps and secrets that
// Jobs live among.
//
// What a kind accepts, defaults, warns about and lets change is decided by Kubernetes' own strategies
// (k8s.io/kubernetes/pkg/registry/core/...). The stores, subresources and tables around them are ours, in one package
// a kind, because upstream's drag in every API group of Kubernetes.
package core
