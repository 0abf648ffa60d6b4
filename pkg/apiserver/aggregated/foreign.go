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
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
)

// checkForeign returns an error where another API server keeps its objects under our prefix. Namespaces give it away: a server beside a cluster stores
// none. With a kube-apiserver's etcd and prefix we would take the cluster's own Jobs for ours, and each would run twice.
func checkForeign(ctx context.Context, client *clientv3.Client, store apiserver.Etcd) error {
	found, err := client.Get(ctx, store.NamespacesPrefix(), clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())
	if err != nil {
		return fmt.Errorf("look for another API server's objects in etcd: %w", err)
	}
	if len(found.Kvs) > 0 {
		return fmt.Errorf("etcd has objects of another API server, such as %s: choose another --etcd-prefix, or an etcd or a data folder of its own", found.Kvs[0].Key)
	}
	return nil
}
