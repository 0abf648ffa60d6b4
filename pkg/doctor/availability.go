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
	"strings"

	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// notBelieved ends the message of the cluster's API server where ours doesn't take it for the front proxy.
const notBelieved = ": 401"

// unavailable is what the cluster's API server says is wrong with the way to ours. Empty where nothing is. known: it has tried.
func unavailable(facts Facts) (what string, known bool) {
	if facts.APIService.Err != nil {
		return "", false
	}
	for _, condition := range facts.APIService.Value.Status.Conditions {
		if condition.Type != apiregistrationv1.Available {
			continue
		}
		if condition.Status == apiregistrationv1.ConditionTrue {
			return "", true
		}
		return condition.Reason + ": " + strings.TrimSpace(condition.Message), true
	}
	return "", false
}

// judgeAvailability repeats what the cluster's API server says of us: it tries our service all the time.
func judgeAvailability(options Options, facts Facts) Finding {
	if facts.APIService.Err != nil {
		return unknown("there is no APIService")
	}
	switch what, known := unavailable(facts); {
	case !known:
		return unknown("the cluster's API server has not tried yet")
	case what == "":
		return good("the cluster's API server reaches ours")
	default:
		return bad(availabilityCure(options, what), "the cluster's API server says: %s", what)
	}
}

// availabilityCure says where to look. The cluster's API server tells the code of an answer, and not what stands in it.
func availabilityCure(options Options, what string) Cure {
	contains := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(what, word) {
				return true
			}
		}
		return false
	}
	switch {
	case contains("ServiceNotFound", "ServicePortError"):
		return advise("see the link of the service")
	case contains("EndpointsNotFound", "MissingEndpoints"):
		return advise("see the link of the endpoints")
	case contains("jobserver-is-starting"):
		return advise("our server is starting: see the link of health and etcd")
	case contains("x509:", "tls:"):
		return advise("see the links of caBundle and the certificate")
	case strings.HasSuffix(what, notBelieved):
		return advise("see the link of the front proxy")
	case strings.HasSuffix(what, ": 503"):
		return advise("our server answers that it can't serve: see the links of the data and of health and etcd")
	case contains("connection refused", "connection reset", "EOF"):
		return advise("no server listens there; %s", readLog(options))
	case contains("Client.Timeout", "timed out", "deadline exceeded", "i/o timeout", "no route"):
		return advise("nobody answers there: a NetworkPolicy, a firewall between the control plane and the nodes, or a server that hangs; %s", readLog(options))
	default:
		return advise("%s", readLog(options))
	}
}
