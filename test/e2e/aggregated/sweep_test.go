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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestSweep deletes a namespace behind the server's back: Jobs of it are gone once the server is there again, others stay.
func TestSweep(t *testing.T) {
	t.Parallel()
	in := ownInstallation(t, setup{noNode: true})
	gone, stays := in.newNamespace(t), in.newNamespace(t)
	for _, u := range []user{gone, stays} {
		u.apply(t, jobYAML("left", "true", "suspend: true"))
	}
	if err := in.replicas[0].Stop(); err != nil {
		t.Fatal(err)
	}
	// As an uninstallation does: a registration that nobody answers for would hold the namespace.
	in.admin.run(t, "delete", "apiservice", registrationName)
	in.admin.run(t, "delete", "namespace", gone.namespace, "--timeout=150s")

	if err := in.applyManifests("embedded-etcd"); err != nil {
		t.Fatal(err)
	}
	if err := in.replicas[0].Start(); err != nil {
		t.Fatal(err)
	}
	if err := in.waitAvailable(registrationName); err != nil {
		t.Fatal(err)
	}
	eventually(t, waitLong, func() string {
		list, err := in.jobs.List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err.Error()
		}
		if len(list.Items) != 1 || list.Items[0].GetNamespace() != stays.namespace {
			return describeCount("Jobs", len(list.Items), 1)
		}
		return ""
	})
}
