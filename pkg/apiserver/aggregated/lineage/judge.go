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
	"fmt"
	"time"
)

// verdict is what the two marks say together.
type verdict struct {
	// refused says why nothing may be served. Empty: all is well.
	refused string
	// token names the pair of marks that was refused. Accepting it accepts no other.
	token string
}

// judge compares the mark in etcd with that in the cluster; nil stands for none. cluster is the UID of the cluster that is asked. It is pure.
func judge(inEtcd, inCluster *Mark, cluster string) verdict {
	refused := ""
	switch {
	case inEtcd == nil && inCluster == nil:
	case inEtcd == nil:
		refused = fmt.Sprintf("etcd is empty, but the cluster knows Jobs of storage %s, last marked %s", inCluster.Storage, inCluster.Made.Format(time.RFC3339))
	case inEtcd.Cluster != cluster:
		refused = fmt.Sprintf("etcd has Jobs of another cluster (its kube-system namespace has the UID %s, not %s)", inEtcd.Cluster, cluster)
	case inCluster == nil:
		// Somebody removed the ConfigMap. There is nothing to compare with; it is made again.
	case inEtcd.Storage != inCluster.Storage:
		refused = fmt.Sprintf("etcd has storage %s, but the cluster knows Jobs of storage %s", inEtcd.Storage, inCluster.Storage)
	case inEtcd.Generation < inCluster.Generation:
		refused = fmt.Sprintf("etcd has data of %s, which is older than what the cluster has seen last, at %s: it was restored from a backup",
			inEtcd.Made.Format(time.RFC3339), inCluster.Made.Format(time.RFC3339))
	}
	if refused == "" {
		return verdict{}
	}
	return verdict{refused: refused, token: inEtcd.short() + "_" + inCluster.short()}
}

// short is the mark's part of a token. It fits an annotation's value and a shell without quotes.
func (m *Mark) short() string {
	if m == nil {
		return "none"
	}
	return fmt.Sprintf("%.8s.%d", m.Storage, m.Generation)
}
