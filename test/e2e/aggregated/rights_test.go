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
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

// accountUser is who the server is for the cluster.
const accountUser = "system:serviceaccount:" + systemNamespace + ":" + accountName

// hostAuditPolicy has the cluster write down all that the server asks of it.
const hostAuditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["` + accountUser + `"]
- level: None
`

// rarelyUsed are rights that a server needs only when something goes wrong, with the reason.
var rarelyUsed = map[string]string{
	"get pods":                 "looked at again where the answer to a creation or a change was lost",
	"patch flowschemas/status": "the cluster's own API server does it first",
	"update jobs/finalizers":   "never asked for: what OwnerReferencesPermissionEnforcement requires of who makes Pods with an owner",
	"update secrets":           "when certificates rotate, weeks after the start",
	"create configmaps":        "at the first start",
	"create secrets":           "at the first start",
	"update apiservices":       "at the first start, and when certificates rotate",
}

func hostAuditLog(dir string) string { return filepath.Join(dir, "host-audit.log") }

// TestRights has the cluster say which of the rights that the manifests give the server has used: all of them, and it was never refused one. The cluster enforces
// the rules for owner references, so that these rights are needed too.
func TestRights(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	u.quotaOfJobs(t, "five", 5)
	u.apply(t, jobYAML("done", "true"))
	u.wait(t, "done", "Complete")
	u.apply(t, jobYAML("stopped", longCommand, "suspendPolicy: DeletePods"))
	u.running(t, "stopped", 1)
	u.run(t, "patch", "bj", "stopped", "--type=merge", "-p", `{"spec":{"suspend":true}}`)
	u.wait(t, "stopped", "Suspended")
	// An event that comes again is patched.
	u.run(t, "create", "quota", "none", "--hard=pods=0")
	u.waitForQuota(t, "none", "pods")
	u.apply(t, jobYAML("refused", "true"))
	u.failedCreate(t, "refused", "exceeded quota: none")

	rules := readOverlay(t, "embedded-etcd").roles
	eventually(t, waitLong, func() string {
		used, refused := accountRequests(t)
		if len(refused) > 0 {
			t.Fatalf("refused by the cluster: %q", refused)
		}
		var unused []string
		for _, right := range rightsOf(rules) {
			if !used[right] && rarelyUsed[right] == "" {
				unused = append(unused, right)
			}
		}
		if len(unused) > 0 {
			return fmt.Sprintf("rights that nobody has used: %q", unused)
		}
		return ""
	})
}

// rightsOf are the rules, each verb of each resource as "verb resource". What is watched may be listed too: that is what a watch falls back to.
func rightsOf(rules []rbacv1.PolicyRule) []string {
	var rights []string
	for _, rule := range rules {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				if verb != "list" || !slices.Contains(rule.Verbs, "watch") {
					rights = append(rights, verb+" "+resource)
				}
			}
		}
	}
	return rights
}

// accountRequests is what the server has asked of the cluster, as "verb resource", and what was refused for want of a right.
func accountRequests(t *testing.T) (used map[string]bool, refused []string) {
	t.Helper()
	log, err := os.ReadFile(hostAuditLog(shared.dir))
	if err != nil {
		t.Fatal(err)
	}
	used = map[string]bool{}
	for line := range strings.Lines(string(log)) {
		if !strings.HasSuffix(line, "\n") {
			break // still being written
		}
		var entry struct {
			Verb           string
			ObjectRef      *struct{ Resource, Subresource string }
			ResponseStatus struct {
				Code    int
				Message string
			}
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if entry.ObjectRef == nil {
			continue
		}
		name := entry.Verb + " " + strings.TrimSuffix(entry.ObjectRef.Resource+"/"+entry.ObjectRef.Subresource, "/")
		used[name] = true
		// Quotas and Pod security refuse Pods with the same code; the authorizer's answer names the user.
		if entry.ResponseStatus.Code == http.StatusForbidden && strings.Contains(entry.ResponseStatus.Message, `User "`+accountUser+`" cannot`) {
			refused = append(refused, name+": "+entry.ResponseStatus.Message)
		}
	}
	return used, refused
}
