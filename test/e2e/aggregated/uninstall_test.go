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
	"testing"
)

// TestUninstall takes the server out of a cluster in which it has Jobs: registration first, then all else. Nothing hangs, and the cluster is as
// it was before.
func TestUninstall(t *testing.T) {
	slow(t)
	in := ownInstallation(t, setup{noNode: true})
	u := in.newNamespace(t)
	u.apply(t, jobYAML("left", "true", "suspend: true"))

	in.admin.run(t, "delete", "apiservice", registrationName)
	if err := in.replicas[0].Stop(); err != nil {
		t.Fatal(err)
	}
	rendered, err := in.render("embedded-etcd")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.admin.try(rendered, "delete", "--ignore-not-found", "--timeout=150s", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	in.admin.run(t, "delete", "namespace", u.namespace, "--timeout=150s")
	for _, kind := range []string{"apiservices", "clusterroles", "clusterrolebindings", "namespaces"} {
		if left := in.admin.run(t, "get", kind, "-l", "app.kubernetes.io/name=jobserver", "-o", "name"); left != "" {
			t.Errorf("%s are left: %s", kind, left)
		}
	}
	in.admin.refused(t, "", "get", ours)
}
