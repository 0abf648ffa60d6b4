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

package aggregated

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// paramsRole gives the server the right to read a kind that policies have as paramKind, in the way that the manifests provide for.
const paramsRole = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: e2e-limits
  labels: {batch.jobserver.dev/aggregate-to-admission-params: "true"}
rules:
- {apiGroups: [""], resources: [configmaps], verbs: [get, list, watch]}
`

// TestPolicyWithParams has a policy of the cluster judge our Jobs by what stands in an object of the Job's namespace, also after that has changed.
func TestPolicyWithParams(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	// It stays for all tests: without it the server would go on asking for a moment, and be refused.
	shared.admin.apply(t, paramsRole)
	eventually(t, time.Minute, func() string {
		_, err := u.try("", "auth", "can-i", "list", "configmaps", "--all-namespaces", "--as", accountUser)
		return describeError(err)
	})
	limit := func(parallelism int) {
		u.apply(t, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: limits}, data: {parallelism: "%d"}}`, parallelism))
	}
	limit(3)
	bound := policy("ValidatingAdmissionPolicy", u.namespace, `
  paramKind: {apiVersion: v1, kind: ConfigMap}
  validations:
  - expression: "object.spec.parallelism <= int(params.data.parallelism)"
    messageExpression: "'at most ' + params.data.parallelism"
`)
	shared.configure(t, bound+"  paramRef: {name: limits, parameterNotFoundAction: Deny}\n")
	tryWide := func() string {
		_, err := u.try(jobYAML("wide", "true", "suspend: true", "parallelism: 7"), "create", "--dry-run=server", "-f", "-")
		return describeError(err)
	}
	for _, parallelism := range []int{3, 5} {
		limit(parallelism)
		eventually(t, waitLong, func() string {
			if got := tryWide(); !strings.Contains(got, fmt.Sprintf("at most %d", parallelism)) {
				return "a Job beyond the limit: " + got
			}
			return ""
		})
	}
	limit(7)
	eventually(t, waitLong, tryWide)
}
