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
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// brokenRegistration have something wrong with how the cluster knows the server, and how it reaches it.
var brokenRegistration = map[string]breakage{
	"no cluster": {
		func(_ *testing.T, f *Facts) { f.ClusterVersion.Err = errors.New("connection refused") },
		map[string]verdict{"cluster": {Bad, "connection refused", "--kubeconfig"}},
	},
	"not registered": {
		func(_ *testing.T, f *Facts) {
			f.APIService = Answer[*apiregistrationv1.APIService]{Err: notFound("apiservices")}
			f.Service.Err, f.Handshake.Err, f.Readyz.Err, f.Data.Err = errors.New("-"), errors.New("-"), errors.New("-"), errors.New("-")
			f.Discovery = Response{Code: 404, Date: now}
		},
		map[string]verdict{
			"APIService": {Bad, "v1.batch.jobserver.dev is not registered", "kubectl create -f artifacts/kustomize/base/apiservice.yaml"}, "caBundle": {Unknown, "", ""}, "service": {Unknown, "", ""},
			"endpoints": {Unknown, "", ""}, "certificate": {Unknown, "", ""}, "availability": {Unknown, "", ""}, "data": {Unknown, "", ""},
			"request": {Bad, "404", "APIService"}, "delegated call": {Unknown, "", ""}, "health and etcd": {Unknown, "", ""},
		},
	},
	"unchecked certificates": {
		func(_ *testing.T, f *Facts) { f.APIService.Value.Spec.InsecureSkipTLSVerify = true },
		map[string]verdict{"APIService": {Bad, "insecureSkipTLSVerify", `{"spec":{"insecureSkipTLSVerify":false}}`}},
	},
	"priority of batch": {
		func(_ *testing.T, f *Facts) { f.APIService.Value.Spec.GroupPriorityMinimum = 17400 },
		map[string]verdict{"APIService": {Bad, "means ours in the whole cluster", "groupPriorityMinimum"}},
	},
	"not reached": {
		func(_ *testing.T, f *Facts) {
			f.APIService.Value.Status.Conditions[0] = apiregistrationv1.APIServiceCondition{
				Type: apiregistrationv1.Available, Status: apiregistrationv1.ConditionFalse, Reason: "FailedDiscoveryCheck", Message: "dial tcp: timeout",
			}
			f.Discovery = Response{Code: 503, Body: "service unavailable\nmore"}
		},
		map[string]verdict{"availability": {Bad, "FailedDiscoveryCheck: dial tcp: timeout", "logs"}, "request": {Bad, "503: service unavailable", "logs"}, "delegated call": {Unknown, "", ""}},
	},
	"front proxy not believed by the check of the cluster": {
		func(_ *testing.T, f *Facts) {
			f.APIService.Value.Status.Conditions[0] = apiregistrationv1.APIServiceCondition{
				Type: apiregistrationv1.Available, Status: apiregistrationv1.ConditionFalse, Reason: "FailedDiscoveryCheck",
				Message: "failing or missing response from https://10.96.0.9:443/apis/batch.jobserver.dev/v1: bad status from https://10.96.0.9:443/apis/batch.jobserver.dev/v1: 401",
			}
			f.FrontProxy.Value.Data["requestheader-allowed-names"] = `["front-proxy-client"]`
			f.Discovery = Response{Code: 503, Body: "service unavailable"}
		},
		map[string]verdict{
			"availability": {Bad, ": 401", "front proxy"}, "front proxy": {Bad, `by the authority "authority", or has none of the names front-proxy-client`, "--proxy-client-cert-file"},
			"request": {Bad, "503", ""}, "delegated call": {Unknown, "", ""},
		},
	},
	"no aggregation layer": {
		func(_ *testing.T, f *Facts) { f.FrontProxy.Value.Data = nil },
		map[string]verdict{"front proxy": {Bad, "no aggregation layer", "--requestheader-client-ca-file"}},
	},
	"front proxy not believed": {
		func(_ *testing.T, f *Facts) { f.Discovery.Code = 401 },
		map[string]verdict{"front proxy": {Bad, "401", "--proxy-client-cert-file"}, "request": {Bad, "401", "--proxy-client-cert-file"}, "delegated call": {Unknown, "", ""}},
	},
}

func notFound(resource string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: resource}, "x")
}
