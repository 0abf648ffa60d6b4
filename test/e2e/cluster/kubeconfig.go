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

package cluster

import (
	"encoding/json"
	"os"
)

// writeKubeconfigs writes those of the administrator and the controller manager.
func (c *Cluster) writeKubeconfigs() error {
	for _, name := range []string{"admin", "controller-manager"} {
		if err := c.writeKubeconfig(name); err != nil {
			return err
		}
	}
	return nil
}

// UserKubeconfig issues a client certificate for a user of these groups and returns the path of a kubeconfig with it. The name is a
// file name too.
func (c *Cluster) UserKubeconfig(name string, groups ...string) (string, error) {
	if err := c.IssueClient(ClientAuthority, name, groups...); err != nil {
		return "", err
	}
	return c.path(name + ".kubeconfig"), c.writeKubeconfig(name)
}

// writeKubeconfig writes a kubeconfig that points to the certificate of that name. JSON is YAML.
func (c *Cluster) writeKubeconfig(name string) error {
	type object = map[string]any
	config, err := json.MarshalIndent(object{
		"apiVersion": "v1",
		"kind":       "Config",
		"clusters": []object{{"name": "cluster", "cluster": object{
			"server":                c.URL(),
			"certificate-authority": c.CertificatePath("ca.crt"),
		}}},
		"users": []object{{"name": name, "user": object{
			"client-certificate": c.CertificatePath(name + ".crt"),
			"client-key":         c.CertificatePath(name + ".key"),
		}}},
		"contexts":        []object{{"name": "cluster", "context": object{"cluster": "cluster", "user": name}}},
		"current-context": "cluster",
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(c.path(name+".kubeconfig"), config, 0o600)
}
