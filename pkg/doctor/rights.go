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
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
)

const (
	authenticationNamespace = "kube-system"
	authenticationConfig    = "extension-apiserver-authentication"
)

// neededRights are those that the manifests in artifacts/kustomize/base give, one for each thing that would break.
func neededRights(options Options) []Right {
	var rights []Right
	need := func(purpose, group, resource, namespace, name string, verbs ...string) {
		resource, subresource, _ := strings.Cut(resource, "/")
		for _, verb := range verbs {
			rights = append(rights, Right{For: purpose, ResourceAttributes: authorizationv1.ResourceAttributes{
				Group: group, Resource: resource, Subresource: subresource, Namespace: namespace, Name: name, Verb: verb,
			}})
		}
	}
	need("knowing callers by their tokens", "authentication.k8s.io", "tokenreviews", "", "", "create")
	need("knowing what callers may do", "authorization.k8s.io", "subjectaccessreviews", "", "", "create")
	need("believing the cluster's API server", "", "configmaps", authenticationNamespace, authenticationConfig, "get", "list", "watch")
	need("running Pods", "", "pods", "", "", "get", "list", "watch", "create", "patch", "delete")
	need("owning Pods", options.GroupVersion.Group, "jobs/finalizers", "", "", "update")
	need("events of Jobs", "", "events", "", "", "create", "patch")
	need("knowing namespaces", "", "namespaces", "", "", "get", "list", "watch")
	need("quotas", "", "resourcequotas", "", "", "list", "watch")
	need("quotas", "", "resourcequotas/status", "", "", "update")
	for _, resource := range []string{
		"mutatingwebhookconfigurations", "validatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings",
		"mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
	} {
		need("the cluster's admission", "admissionregistration.k8s.io", resource, "", "", "list", "watch")
	}
	for _, resource := range []string{"flowschemas", "prioritylevelconfigurations"} {
		need("the cluster's priorities of requests", "flowcontrol.apiserver.k8s.io", resource, "", "", "list", "watch")
	}
	need("the cluster's priorities of requests", "flowcontrol.apiserver.k8s.io", "flowschemas/status", "", "", "patch")
	need("the certificates that replicas share", "", "secrets", options.Namespace, "", "create")
	need("the certificates that replicas share", "", "secrets", options.Namespace, options.ServiceAccount+certificatesSuffix, "get", "update")
	need("noticing a restored etcd", "", "configmaps", options.Namespace, "", "create")
	need("noticing a restored etcd", "", "configmaps", options.Namespace, options.ServiceAccount+dataSuffix, "get", "update")
	need("renewing the certificate authority", "apiregistration.k8s.io", "apiservices", "", options.apiServiceName(), "get", "update")
	return rights
}

// judgeRights judges what the server's account may do. Missing verbs of one resource are told together.
func judgeRights(options Options, facts Facts) Finding {
	var missing []string
	verbs := map[string][]string{}
	for _, right := range facts.Rights {
		if right.Err != nil {
			return unknown("asking what %s may do: %v", facts.Account, right.Err)
		}
		if right.Allowed {
			continue
		}
		what := fmt.Sprintf("%s (for %s)", resourceName(right.ResourceAttributes), right.For)
		if len(verbs[what]) == 0 {
			missing = append(missing, what)
		}
		verbs[what] = append(verbs[what], right.Verb)
	}
	if len(missing) > 0 {
		for i, what := range missing {
			missing[i] = strings.Join(verbs[what], "/") + " " + what
		}
		return bad(grantRights(options, facts), "%s may not %s", facts.Account, strings.Join(missing, ", "))
	}
	return good("%s has the %d rights that the server needs", facts.Account, len(facts.Rights))
}

func resourceName(attributes authorizationv1.ResourceAttributes) string {
	name := attributes.Resource
	if attributes.Subresource != "" {
		name += "/" + attributes.Subresource
	}
	if attributes.Group != "" {
		name += "." + attributes.Group
	}
	if attributes.Name != "" {
		name += " " + attributes.Name
	}
	return name
}
