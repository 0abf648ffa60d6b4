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

package doctor

import (
	"testing"
)

// brokenRequests have something wrong that a request through the cluster shows.
var brokenRequests = map[string]breakage{
	"a right is missing": {
		func(_ *testing.T, f *Facts) { f.Rights[0].Allowed = false },
		map[string]verdict{"rights": {Bad, "may not create tokenreviews.authentication.k8s.io (for knowing callers by their tokens)", "kubectl auth reconcile -f artifacts/kustomize/base/clusterrole.yaml -f"}},
	},
	"rights can't be asked for": {
		func(_ *testing.T, f *Facts) {
			f.Delegated = Response{Code: 403, Body: `{"message":"jobs is forbidden","details":{"kind":"jobs"}}`}
		},
		map[string]verdict{"delegated call": {Bad, "(403), whom the cluster allows everything: jobs is forbidden", "kubectl auth reconcile"}},
	},
	"rights to ask for rights are missing": {
		func(_ *testing.T, f *Facts) {
			f.Delegated = Response{Code: 500, Body: `Internal Server Error: "/apis": subjectaccessreviews.authorization.k8s.io is forbidden`}
		},
		map[string]verdict{"delegated call": {Bad, "may not ask the cluster what callers may do (500): Internal Server Error", "kubectl auth reconcile"}},
	},
	"a right is missing where batch/v1 is taken over": {
		func(_ *testing.T, f *Facts) {
			f.Rights[0].Allowed, f.Workloads.Value[0].Args = false, []string{"--serve-batch-v1"}
		},
		map[string]verdict{"rights": {Bad, "may not create tokenreviews", "kubectl apply -k artifacts/kustomize/overlays/replace"}},
	},
	"no administrator": {
		func(_ *testing.T, f *Facts) {
			f.Delegated = Response{Code: 403, Body: `{"message":"users \"x\" is forbidden","details":{"kind":"users"}}`}
		},
		map[string]verdict{"delegated call": {Unknown, "may not impersonate", ""}},
	},
	"etcd is away": {
		func(_ *testing.T, f *Facts) {
			f.Delegated = Response{Code: 503, Body: `{"message":"etcd has not answered for 7s"}`}
		},
		map[string]verdict{"delegated call": {Bad, "503: etcd has not answered for 7s", "logs"}},
	},
	"restored from a backup": {
		func(_ *testing.T, f *Facts) {
			f.Data.Value.Data = map[string]string{"refused": "it was restored", "accept": "kubectl annotate x"}
			f.Discovery = Response{Code: 503}
			f.Readyz = Response{Code: 503, Body: "[-]start the data in etcd is not what the cluster has seen last\n"}
		},
		map[string]verdict{
			"data": {Bad, "it was restored", "kubectl annotate x"}, "request": {Bad, "503", ""}, "delegated call": {Unknown, "", ""},
			"health and etcd": {Bad, "the data in etcd", "the link of the data"},
		},
	},
}
