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
	"encoding/json"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	// dataSuffix follows the name of the Service in that of the ConfigMap with the marks of the data.
	dataSuffix = "-storage"

	// refusedKey of it says why data is not served, and acceptKey which command accepts it.
	refusedKey = "refused"
	acceptKey  = "accept"
)

// judgeDelegated judges a request of somebody whose rights our server has to ask the cluster for, and who has them.
func judgeDelegated(options Options, facts Facts) Finding {
	response := facts.Delegated
	switch {
	case facts.Discovery.Code != 200:
		return unknown("the request above failed already")
	case response.Err != nil:
		return unknown("listing Jobs as the garbage collector: %v", response.Err)
	case response.Code == 200:
		return good("a list of Jobs passes: front proxy, the cluster's word on the caller's rights, etcd")
	case response.Code == 403 && isImpersonation(response.Body):
		return unknown("this kubeconfig may not impersonate the garbage collector: %s", message(response.Body))
	case response.Code == 401, response.Code == 403:
		return bad(grantRights(options, facts), "our server refuses the cluster's garbage collector (%d), whom the cluster allows everything: %s", response.Code, message(response.Body))
	case strings.Contains(response.Body, "subjectaccessreviews"):
		return bad(grantRights(options, facts), "our server may not ask the cluster what callers may do (%d): %s", response.Code, message(response.Body))
	default:
		return bad(advise("%s", readLog(options)), "a list of Jobs is answered with %d: %s", response.Code, message(response.Body))
	}
}

// status is what of a metav1.Status counts here.
type status struct {
	Message string `json:"message"`
	Details struct {
		Kind string `json:"kind"`
	} `json:"details"`
}

func parseStatus(body string) status {
	var parsed status
	if err := json.Unmarshal([]byte(body), &parsed); err != nil || parsed.Message == "" {
		parsed.Message = firstLine(body)
	}
	return parsed
}

func message(body string) string { return parseStatus(body).Message }

// isImpersonation tells whether the cluster's API server refuses to take one user for another: the refusal is about a user, not about Jobs.
func isImpersonation(body string) bool { return parseStatus(body).Details.Kind != "jobs" }

// judgeData judges whether the data in etcd is what the cluster has seen last, as our server found.
func judgeData(_ Options, facts Facts) Finding {
	switch err := facts.Data.Err; {
	case apierrors.IsNotFound(err):
		return unknown("our server has never served here")
	case err != nil:
		return unknown("reading the marks of the data: %v", err)
	}
	data := facts.Data.Value.Data
	if data[refusedKey] == "" {
		return good("the data in etcd is what the cluster has seen last")
	}
	return bad(mend(data[acceptKey]).noting("that accepts the data, for good: docs/operations/backup.md says what it means. Or bring the right data back"), "our server refuses to serve: %s", data[refusedKey])
}
