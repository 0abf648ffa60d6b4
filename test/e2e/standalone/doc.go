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

// Package standalone tests the server as a user of one machine sees it: the built binary, driven by the real kubectl of the same
// Kubernetes release, running real processes. Nothing of the product is imported; what the tests know, they know from
// Kubernetes' documentation and behaviour.
//
// Run it with "make e2e", which builds what is needed first, or with binaries of your own:
//
//	go test ./standalone -args -apiserver /path/to/apiserver -kubectl /path/to/kubectl
//
// Most tests share one server and have a namespace each; those that stop, kill or break a server start their own.
package standalone
