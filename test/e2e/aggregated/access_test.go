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
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jobserver-dev/jobserver/test/e2e/cluster"
)

// auditPolicy records who did what to Jobs, with what they sent, and nothing else.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Request
  verbs: [create, delete]
  resources: [{group: batch.jobserver.dev, resources: [jobs]}]
- level: None
`

// sharedSetup is the installation that most tests share: as it comes, with audit logs of the server and of the cluster, which enforces the rules for owner references.
func sharedSetup(dir string) (setup, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return setup{}, err
	}
	policy, hostPolicy := filepath.Join(dir, "audit-policy.yaml"), filepath.Join(dir, "host-audit-policy.yaml")
	return setup{
		serverArgs: []string{"--audit-policy-file", policy, "--audit-log-path", auditLog(dir), "--audit-log-mode", "blocking"},
		apiServerArgs: []string{
			"--audit-policy-file", hostPolicy, "--audit-log-path", hostAuditLog(dir), "--audit-log-mode", "blocking",
			"--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
		},
	}, errors.Join(os.WriteFile(policy, []byte(auditPolicy), 0o600), os.WriteFile(hostPolicy, []byte(hostAuditPolicy), 0o600))
}

func auditLog(dir string) string { return filepath.Join(dir, "audit.log") }

// attempt is what a user tries on our Jobs.
type attempt struct {
	args  []string
	stdin string
	// verb and resource are how "auth can-i" asks for the same.
	verb, resource string
}

// attempts are all verbs. They find a Job "there" with every right, and need nothing of each other.
func attempts() []attempt {
	const resource = "jobs.batch.jobserver.dev"
	return []attempt{
		{verb: "get", resource: resource, args: []string{"get", resource, "there"}},
		{verb: "list", resource: resource, args: []string{"get", resource}},
		{verb: "watch", resource: resource, args: []string{"get", "--raw", "/apis/batch.jobserver.dev/v1/namespaces/NAMESPACE/jobs?watch=true&timeoutSeconds=1"}},
		{verb: "create", resource: resource, args: []string{"create", "-f", "-", "--dry-run=server"}, stdin: jobYAML("new", "true", "suspend: true")},
		{verb: "patch", resource: resource, args: []string{"patch", resource, "there", "--type=merge", "-p", `{"metadata":{"labels":{"a":"b"}}}`, "--dry-run=server"}},
		{verb: "delete", resource: resource, args: []string{"delete", resource, "there", "--dry-run=server"}},
		{verb: "patch", resource: resource + "/status", args: []string{"patch", resource, "there", "--subresource=status", "--type=merge", "-p", `{"metadata":{"labels":{"a":"b"}}}`, "--dry-run=server"}},
		{verb: "get", resource: "jobs.batch", args: []string{"get", "jobs.batch"}},
	}
}

// checkRights has the user try everything: he may do what is allowed, no more, and "auth can-i" says the same.
func checkRights(t *testing.T, u user, allowed map[string]bool) {
	t.Helper()
	for _, a := range attempts() {
		name := a.verb + " " + a.resource
		args := append([]string(nil), a.args...)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "NAMESPACE", u.namespace)
		}
		_, err := u.try(a.stdin, args...)
		switch {
		case allowed[name] && err != nil:
			t.Errorf("%s: %v", name, err)
		case !allowed[name] && err == nil:
			t.Errorf("%s is not refused", name)
		case !allowed[name] && !strings.Contains(err.Error(), "(Forbidden)") && !strings.Contains(err.Error(), "is forbidden"):
			t.Errorf("%s is refused, but not for want of rights: %v", name, err)
		}
		resource, subresource, _ := strings.Cut(a.resource, "/")
		answer, _ := u.try("", "auth", "can-i", a.verb, resource, "--subresource="+subresource) // says no by its exit code too
		if got := strings.TrimSpace(answer) == "yes"; got != allowed[name] {
			t.Errorf("auth can-i %s: %q", name, answer)
		}
	}
}

const (
	ours       = "jobs.batch.jobserver.dev"
	oursStatus = ours + "/status"
)

// TestRole gives somebody some verbs on our Jobs in one namespace: he has exactly those, there.
func TestRole(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	u.apply(t, jobYAML("there", "true", "suspend: true"))
	u.run(t, "create", "role", "worker", "--verb=get,list,create", "--resource="+ours)
	u.grant(t, "--role=worker", "--user=worker", "list")
	worker := u.as(t, "worker")
	checkRights(t, worker, map[string]bool{"get " + ours: true, "list " + ours: true, "create " + ours: true})

	elsewhere := shared.newNamespace(t)
	elsewhere.apply(t, jobYAML("there", "true", "suspend: true"))
	worker.namespace = elsewhere.namespace
	checkRights(t, worker, nil)
}

// TestAggregatedRoles binds the cluster's own roles: they cover our Jobs as they cover those of batch.
func TestAggregatedRoles(t *testing.T) {
	t.Parallel()
	read := map[string]bool{"get " + ours: true, "list " + ours: true, "watch " + ours: true, "get jobs.batch": true}
	write := map[string]bool{"create " + ours: true, "patch " + ours: true, "delete " + ours: true}
	for key := range read {
		write[key] = true
	}
	for role, allowed := range map[string]map[string]bool{"view": read, "edit": write, "admin": write} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			u := shared.newNamespace(t)
			u.apply(t, jobYAML("there", "true", "suspend: true"))
			u.grant(t, "--clusterrole="+role, "--user=some-"+role, "list")
			checkRights(t, u.as(t, "some-"+role), allowed)
		})
	}
}

// TestForgedHeaders calls the server past the cluster's API server with headers that only that may send.
func TestForgedHeaders(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	path := "/apis/batch.jobserver.dev/v1/namespaces/" + u.namespace + "/jobs"
	forged := http.Header{"X-Remote-User": {"admin"}, "X-Remote-Group": {"system:masters"}}
	nobody := u.as(t, "nobody-special")
	if err := shared.cluster.IssueClient(cluster.FrontProxyAuthority, "not-the-front-proxy"); err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name        string
		certificate string
		headers     http.Header
		code        int
		who         string
	}{
		{name: "no certificate", headers: forged, code: http.StatusForbidden, who: "system:anonymous"},
		{name: "a client's own certificate", certificate: "nobody-special", headers: forged, code: http.StatusForbidden, who: "nobody-special"},
		{name: "a certificate of the front proxy's authority for another name", certificate: "not-the-front-proxy", headers: forged, code: http.StatusUnauthorized},
		{name: "the front proxy itself", certificate: "front-proxy-client", headers: forged, code: http.StatusOK},
		{name: "the front proxy for somebody without rights", certificate: "front-proxy-client", headers: http.Header{"X-Remote-User": {"somebody"}}, code: http.StatusForbidden, who: "somebody"},
		{name: "the front proxy without headers", certificate: "front-proxy-client", code: http.StatusUnauthorized},
		{name: "an administrator's own certificate", certificate: "admin", code: http.StatusOK},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := caller{headers: test.headers}
			if test.certificate != "" {
				c.certificate = loadCertificate(t, nobody.in, test.certificate)
			}
			code, body, err := c.get(shared.replicas[0], path)
			if err != nil {
				t.Fatal(err)
			}
			if code != test.code || test.who != "" && !strings.Contains(body, `User \"`+test.who+`\" cannot list`) {
				t.Errorf("code %d, want %d for %q: %s", code, test.code, test.who, body)
			}
		})
	}
}

func loadCertificate(t *testing.T, in *installation, name string) *tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(in.cluster.CertificatePath(name+".crt"), in.cluster.CertificatePath(name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

// TestToken calls the server past the cluster's API server with tokens of service accounts.
func TestToken(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	u.run(t, "create", "serviceaccount", "worker")
	u.run(t, "create", "serviceaccount", "stranger")
	u.run(t, "create", "role", "worker", "--verb=list", "--resource="+ours)
	u.grant(t, "--role=worker", "--serviceaccount="+u.namespace+":worker", "list")
	path := "/apis/batch.jobserver.dev/v1/namespaces/" + u.namespace + "/jobs"
	token := strings.TrimSpace(u.run(t, "create", "token", "worker"))
	for _, test := range []struct {
		name, token string
		code        int
	}{
		{"with rights", token, http.StatusOK},
		{"without rights", strings.TrimSpace(u.run(t, "create", "token", "stranger")), http.StatusForbidden},
		{"forged", token[:len(token)-4] + "AAAA", http.StatusUnauthorized},
		{"not a token", "nonsense", http.StatusUnauthorized},
	} {
		code, body, err := caller{headers: http.Header{"Authorization": {"Bearer " + test.token}}}.get(shared.replicas[0], path)
		if err != nil {
			t.Fatal(err)
		}
		if code != test.code {
			t.Errorf("%s: code %d, want %d: %s", test.name, code, test.code, body)
		}
	}
}

// TestAudit finds in the audit log who made and deleted a Job, and what the policy leaves out is not there.
func TestAudit(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	u.grant(t, "--clusterrole=edit", "--user=auditee", "create")
	auditee := u.as(t, "auditee")
	auditee.apply(t, jobYAML("watched", "true", "suspend: true"))
	auditee.run(t, "get", "bj", "watched")
	auditee.run(t, "delete", "bj", "watched")

	var got []string
	for _, entry := range auditEntries(t, u.namespace) {
		got = append(got, fmt.Sprintf("%s %s %s/%s %d sent=%t", entry.User.Username, entry.Verb, entry.ObjectRef.APIGroup, entry.ObjectRef.Resource,
			entry.ResponseStatus.Code, entry.RequestObject != nil))
	}
	want := "auditee create batch.jobserver.dev/jobs 201 sent=true\nauditee delete batch.jobserver.dev/jobs 200 sent=true"
	if strings.Join(got, "\n") != want {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
}

type auditEntry struct {
	Level, Verb    string
	User           struct{ Username string }
	ObjectRef      struct{ APIGroup, Resource, Namespace, Name string }
	ResponseStatus struct{ Code int }
	RequestObject  any
}

// auditEntries are the entries of one namespace.
func auditEntries(t *testing.T, namespace string) []auditEntry {
	t.Helper()
	file, err := os.Open(auditLog(shared.dir))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var entries []auditEntry
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 10<<20)
	for lines.Scan() {
		var entry auditEntry
		if err := json.Unmarshal(lines.Bytes(), &entry); err != nil {
			t.Fatal(err)
		}
		if entry.ObjectRef.Namespace == namespace {
			entries = append(entries, entry)
		}
	}
	return entries
}
