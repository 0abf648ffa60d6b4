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

package lineage

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Marks as versions have written them, or may come to. They are never changed: whoever upgrades has them.
const (
	beforeV010 = `{"storage":"2b1c8f9e-58f2-4a44-8b6a-0d3c6a1b7f10","generation":7,"cluster":"this-cluster","made":"2026-01-01T00:00:00Z"}`
	seenLater  = `{"storage":"2b1c8f9e-58f2-4a44-8b6a-0d3c6a1b7f10","generation":9,"cluster":"this-cluster","made":"2026-01-01T00:05:00Z"}`
	withMore   = `{"storage":"2b1c8f9e-58f2-4a44-8b6a-0d3c6a1b7f10","generation":7,"cluster":"this-cluster","made":"2026-01-01T00:00:00Z","shards":4}`
	another    = `{"format":2,"epoch":"7"}`
)

// TestMarksOfOtherVersions: a mark of an earlier version counts, as does one with more in it. One that can't be understood is no reason to serve, and none to be
// overwritten; the error says where it stands.
func TestMarksOfOtherVersions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ inEtcd, inCluster, message string }{
		"an earlier version's":                          {inEtcd: beforeV010, inCluster: beforeV010},
		"an earlier version's, of before the last mark": {inEtcd: beforeV010, inCluster: seenLater, message: "it was restored from a backup"},
		"with more in it":                               {inEtcd: withMore, inCluster: beforeV010},
		"in etcd another that is not understood":        {inEtcd: another, inCluster: beforeV010, message: "etcd key " + key + `: read the mark`},
		"in the cluster another":                        {inEtcd: beforeV010, inCluster: another, message: `ConfigMap jobserver-system/jobserver-storage: read the mark`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			e.put(t, key, test.inEtcd)
			known := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: configMap}, Data: map[string]string{"mark": test.inCluster}}
			if _, err := e.cluster.CoreV1().ConfigMaps(namespace).Create(t.Context(), known, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			err := e.keeper(t).Check(t.Context())
			switch {
			case test.message == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.message != "" && (err == nil || !strings.Contains(err.Error(), test.message)):
				t.Errorf("got %v, want %q", err, test.message)
			}
			if refused := (*Refused)(nil); errors.As(err, &refused) && refused.token != "2b1c8f9e.7_2b1c8f9e.9" {
				t.Errorf("the token is %s", refused.token)
			}
			if found, err := e.etcd.Get(t.Context(), key); err != nil || string(found.Kvs[0].Value) != test.inEtcd {
				t.Errorf("the mark in etcd was changed: %v", err)
			}
			now, err := e.cluster.CoreV1().ConfigMaps(namespace).Get(t.Context(), configMap, metav1.GetOptions{})
			if err != nil || now.Data["mark"] != test.inCluster {
				t.Errorf("the mark in the cluster was changed: %s %v", now.Data["mark"], err)
			}
		})
	}
}
