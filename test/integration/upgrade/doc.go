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

// Package upgrade holds the tests that a server reads what earlier versions have stored. Each file in testdata is what one version had in etcd, and what it showed of it; none
// is ever changed. A release adds one, from a server of it that runs alone and without controllers:
//
//	make record DATA_DIR=DIR VERSION=v1.2.3
//
// with a server in another terminal:
//
//	bin/apiserver --standalone --data-dir DIR --controllers=-job-controller
//	bin/kubectl --kubeconfig DIR/admin.kubeconfig apply -f ...
//
// The same target adds the Secret of certificates to pkg/apiserver/aggregated/certificates/testdata.
package upgrade
