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
)

// dryRun tries to create a suspended Job without leaving one, and returns what the user sees.
func (u user) dryRun() string {
	output, err := u.try(jobYAML("tried", "true", "suspend: true"), "create", "--dry-run=server", "-f", "-", "-o", "jsonpath={.metadata.labels}")
	if err != nil {
		return err.Error()
	}
	return output
}

// TestNamespaceLifecycle refuses Jobs in namespaces that are not there or on their way out.
func TestNamespaceLifecycle(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	nowhere := u
	nowhere.namespace = "no-such-namespace"
	if got := nowhere.dryRun(); !strings.Contains(got, `namespaces "no-such-namespace" not found`) {
		t.Errorf("in a missing namespace: %s", got)
	}
	u.apply(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: holds, finalizers: [example.com/held]}}`)
	u.run(t, "delete", "namespace", u.namespace, "--wait=false")
	t.Cleanup(func() {
		u.run(t, "patch", "configmap", "holds", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
	})
	eventually(t, waitLong, func() string {
		if got := u.dryRun(); !strings.Contains(got, "because it is being terminated") {
			return "in a namespace on its way out: " + got
		}
		return ""
	})
}

// TestValidatingAdmissionPolicy has a policy of the cluster judge our Jobs.
func TestValidatingAdmissionPolicy(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	shared.configure(t, policy("ValidatingAdmissionPolicy", u.namespace, `
  validations:
  - expression: "object.spec.parallelism < 5"
    messageExpression: "'parallelism ' + string(object.spec.parallelism) + ' is too much'"
`))
	eventually(t, waitLong, func() string {
		got, err := u.try(jobYAML("wide", "true", "suspend: true", "parallelism: 7"), "create", "--dry-run=server", "-f", "-")
		if err == nil || !strings.Contains(err.Error(), "parallelism 7 is too much") {
			return fmt.Sprintf("a Job that the policy refuses: %s, %v", got, err)
		}
		return ""
	})
	if _, err := u.try(jobYAML("narrow", "true", "suspend: true", "parallelism: 4"), "create", "-f", "-"); err != nil {
		t.Errorf("a Job that the policy allows: %v", err)
	}
	if refusal := u.refused(t, "", "patch", "bj", "narrow", "--type=merge", "-p", `{"spec":{"parallelism":9}}`); !strings.Contains(refusal, "parallelism 9 is too much") {
		t.Errorf("a change that the policy refuses: %s", refusal)
	}
}

// TestMutatingAdmissionPolicy has a policy of the cluster change our Jobs.
func TestMutatingAdmissionPolicy(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	shared.configure(t, policy("MutatingAdmissionPolicy", u.namespace, `
  reinvocationPolicy: Never
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: 'Object{metadata: Object.metadata{labels: {"policy": "was-here"}}, spec: Object.spec{disruptionPolicy: "Count"}}'
`))
	eventually(t, waitLong, func() string {
		if got := u.dryRun(); !strings.Contains(got, `"policy":"was-here"`) {
			return "labels of a new Job: " + got
		}
		return ""
	})
	u.apply(t, jobYAML("changed", "true", "suspend: true"))
	var job jobObject
	u.read(t, &job, "get", "bj", "changed")
	if job.Spec.DisruptionPolicy != "Count" {
		t.Errorf("disruptionPolicy: %s", job.Spec.DisruptionPolicy)
	}
}

// policy is a policy for our Jobs in one namespace, with its binding.
func policy(kind, namespace, rules string) string {
	actions := ""
	if kind == "ValidatingAdmissionPolicy" {
		actions = "\n  validationActions: [Deny]"
	}
	return fmt.Sprintf(`apiVersion: admissionregistration.k8s.io/v1
kind: %[1]s
metadata: {name: %[2]s}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {apiGroups: [batch.jobserver.dev], apiVersions: [v1], resources: [jobs], operations: [CREATE, UPDATE]}
%[3]s
---
apiVersion: admissionregistration.k8s.io/v1
kind: %[1]sBinding
metadata: {name: %[2]s}
spec:
  policyName: %[2]s%[4]s
  matchResources:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[2]s}}
`, kind, namespace, strings.Trim(rules, "\n"), actions)
}

// TestValidatingWebhook has a webhook of the cluster judge our Jobs, and tells it who asks.
func TestValidatingWebhook(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	hook := serveWebhook(t, deny("no Jobs on Fridays"))
	shared.configure(t, hook.configuration("ValidatingWebhookConfiguration", u.namespace, u.namespace, "batch.jobserver.dev", "jobs"))
	u.grant(t, "--clusterrole=edit", "--user=hooked", "create")
	editor := u.as(t, "hooked")
	eventually(t, waitLong, func() string {
		if got := editor.dryRun(); !strings.Contains(got, "denied the request: no Jobs on Fridays") {
			return "a Job that the webhook refuses: " + got
		}
		return ""
	})
	calls := hook.got()
	request := calls[len(calls)-1].request
	if request.UserInfo.Username != "hooked" || request.Kind.Group != "batch.jobserver.dev" || request.Kind.Kind != "Job" || request.Namespace != u.namespace {
		t.Errorf("the webhook was asked about %v in %s by %s", request.Kind, request.Namespace, request.UserInfo.Username)
	}
}

// TestMutatingWebhook has a webhook of the cluster change our Jobs.
func TestMutatingWebhook(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	hook := serveWebhook(t, patch(`[{"op":"add","path":"/metadata/labels","value":{"hooked":"yes"}}]`))
	shared.configure(t, hook.configuration("MutatingWebhookConfiguration", u.namespace, u.namespace, "batch.jobserver.dev", "jobs"))
	eventually(t, waitLong, func() string {
		if got := u.dryRun(); !strings.Contains(got, `"hooked":"yes"`) {
			return "labels of a new Job: " + got
		}
		return ""
	})
}
