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
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// TestRightsOfTheManifests compares what the doctor asks for with what the manifests give: each right is there, and no other.
func TestRightsOfTheManifests(t *testing.T) {
	t.Parallel()
	// Roles of the cluster's own, which the manifests bind.
	given := []string{
		"create authentication.k8s.io tokenreviews / ", "create authorization.k8s.io subjectaccessreviews / ",
		"get  configmaps kube-system/extension-apiserver-authentication ", "list  configmaps kube-system/extension-apiserver-authentication ",
		"watch  configmaps kube-system/extension-apiserver-authentication ",
	}
	for _, file := range []string{"clusterrole.yaml", "role.yaml"} {
		given = append(given, grants(t, filepath.Join("../../artifacts/kustomize/base", file))...)
	}
	var needed []string
	for _, right := range neededRights(options) {
		needed = append(needed, describeRight(right.ResourceAttributes))
	}
	slices.Sort(given)
	slices.Sort(needed)
	if diff := cmp.Diff(given, needed); diff != "" {
		t.Errorf("what is given and what is needed differ (-given +needed):\n%s", diff)
	}
}

func describeRight(right authorizationv1.ResourceAttributes) string {
	return fmt.Sprintf("%s %s %s %s/%s %s", right.Verb, right.Group, right.Resource, right.Namespace, right.Name, right.Subresource)
}

// grants lists the rights in a file with Roles or ClusterRoles.
func grants(t *testing.T, path string) []string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096); ; {
		// A Role has all fields of a ClusterRole that count here.
		var role rbacv1.ClusterRole
		if err := decoder.Decode(&role); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			for _, resource := range rule.Resources {
				name, subresource, _ := strings.Cut(resource, "/")
				for _, verb := range rule.Verbs {
					for _, object := range append(rule.ResourceNames, make([]string, max(0, 1-len(rule.ResourceNames)))...) {
						list = append(list, describeRight(authorizationv1.ResourceAttributes{
							Verb: verb, Group: rule.APIGroups[0], Resource: name, Subresource: subresource, Namespace: role.Namespace, Name: object,
						}))
					}
				}
			}
		}
	}
}
