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
	"slices"
	"strings"
)

// What the manifests in artifacts/kustomize call things.
const (
	workloadLabel = "app.kubernetes.io/name=jobserver"
	manifests     = "artifacts/kustomize/"

	// certificatesSuffix follows the name of the Service in that of the Secret with the server's certificates, and authoritiesKey is the key there
	// of those that check them.
	certificatesSuffix = "-certificates"
	authoritiesKey     = "ca-bundle.crt"
)

// overlay is the folder of the overlay that seems to be installed, or that one would install first.
func overlay(options Options, facts Facts) string {
	name := "embedded-etcd"
	for _, workload := range facts.Workloads.Value {
		if workload.Kind == "deployment" {
			name = "external-etcd"
		}
	}
	if options.takesOver() || facts.hasFlag("--serve-batch-v1") {
		name = "replace"
	}
	return manifests + "overlays/" + name
}

// takesOver tells whether the examined API is the cluster's own batch/v1.
func (o Options) takesOver() bool { return o.GroupVersion.Group == "batch" }

// hasFlag tells whether a workload is known that gives the server a flag.
func (f Facts) hasFlag(flag string) bool {
	return slices.ContainsFunc(f.Workloads.Value, func(w Workload) bool {
		return slices.ContainsFunc(w.Args, func(arg string) bool { return arg == flag || strings.HasPrefix(arg, flag+"=") })
	})
}

// grantRights gives the server's account the rights of the manifests, and touches nothing else where it can: an overlay's own rights stand in files that
// are not complete.
func grantRights(options Options, facts Facts) Cure {
	if path := overlay(options, facts); options.takesOver() || facts.hasFlag("--serve-batch-v1") {
		return mend("kubectl apply -k " + path).noting("of the version that runs; your overlay of it, where you have one")
	}
	command := "kubectl auth reconcile"
	for _, file := range []string{"clusterrole", "clusterrolebindings", "role", "rolebindings"} {
		command += " -f " + manifests + "base/" + file + ".yaml"
	}
	return mend(command).noting("of the version that runs; it adds what is missing and takes nothing away")
}

// writeBundle has the cluster trust what the server's own certificates are checked by.
func writeBundle(options Options, facts Facts) Cure {
	given := "the server serves with --tls-cert-file: whoever makes that file says what checks it, and writes that into caBundle " +
		"(cert-manager: annotate the APIService with cert-manager.io/inject-ca-from)"
	if facts.hasFlag("--tls-cert-file") {
		return advise("%s", given)
	}
	return mend(fmt.Sprintf(`kubectl patch apiservice %s --type=merge -p "{\"spec\":{\"caBundle\":\"$(kubectl get secret -n %s %s -o jsonpath='{.data.%s}')\"}}"`,
		options.apiServiceName(), options.Namespace, options.ServiceAccount+certificatesSuffix, strings.ReplaceAll(authoritiesKey, ".", `\.`))).
		noting("a server that runs, and may write its APIService, does that within 10 s; if %s", given)
}

// restart starts the server's Pods anew.
func restart(options Options) string {
	return fmt.Sprintf("kubectl rollout restart -n %s deployment,statefulset -l %s", options.Namespace, workloadLabel)
}

// readLog is where the server says more.
func readLog(options Options) string {
	return fmt.Sprintf("its log says more: kubectl logs -n %s -l %s --all-containers --prefix", options.Namespace, workloadLabel)
}
