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
	"path/filepath"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// listed is how many Jobs a measured list has.
const listed = 100

// BenchmarkHop measures what it costs that requests go through the cluster's API server: each request is sent both ways in turn, by the same
// user, and the quantiles of both stand side by side. Nothing stands between the two servers but the loopback.
func BenchmarkHop(b *testing.B) {
	in, err := install(b.Context(), filepath.Join(folder, b.Name()), setup{noNode: true, noGateway: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := in.stop(); err != nil {
			b.Error(err)
		}
	})
	const namespace = "default"
	in.admin.grant(b, "--clusterrole=edit", "--user=measurer", "create")
	through, direct, err := in.bothWays(b.Context(), "measurer")
	if err != nil {
		b.Fatal(err)
	}
	for i := range listed {
		if _, err := direct.Namespace(namespace).Create(b.Context(), suspended(b, fmt.Sprintf("listed-%03d", i), "listed"), metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	measure := func(name string, request func(ctx context.Context, client dynamic.ResourceInterface, id string) error) {
		b.Run(name, func(b *testing.B) {
			var took [2][]time.Duration
			for i := 0; b.Loop(); i++ {
				for way, client := range []dynamic.NamespaceableResourceInterface{direct, through} {
					started := time.Now()
					if err := request(b.Context(), client.Namespace(namespace), fmt.Sprintf("%d-%d-%d", b.N, i, way)); err != nil {
						b.Fatal(err)
					}
					took[way] = append(took[way], time.Since(started))
				}
			}
			for way, label := range []string{"direct", "through"} {
				b.ReportMetric(quantile(took[way], 0.50), label+"-p50-µs")
				b.ReportMetric(quantile(took[way], 0.99), label+"-p99-µs")
			}
			// Both ways together mean nothing.
			b.ReportMetric(0, "ns/op")
		})
	}
	measure("get", func(ctx context.Context, client dynamic.ResourceInterface, _ string) error {
		_, err := client.Get(ctx, "listed-000", metav1.GetOptions{})
		return err
	})
	measure("list", func(ctx context.Context, client dynamic.ResourceInterface, _ string) error {
		list, err := client.List(ctx, metav1.ListOptions{LabelSelector: "set=listed"})
		if err == nil && len(list.Items) != listed {
			return fmt.Errorf("%d Jobs in the list", len(list.Items))
		}
		return err
	})
	measure("create", func(ctx context.Context, client dynamic.ResourceInterface, id string) error {
		_, err := client.Create(ctx, suspended(b, "made-"+id, "made"), metav1.CreateOptions{})
		return err
	})
}

// bothWays are clients of one user: through the cluster's API server, and past it.
func (in *installation) bothWays(ctx context.Context, name string) (through, direct dynamic.NamespaceableResourceInterface, err error) {
	kubeconfig, err := in.cluster.UserKubeconfig(name)
	if err != nil {
		return nil, nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, nil, err
	}
	config.QPS, config.Burst = -1, -1
	bundle, err := in.readBundle(ctx)
	if err != nil {
		return nil, nil, err
	}
	past := rest.CopyConfig(config)
	past.Host = "https://" + in.replicas[0].address()
	past.TLSClientConfig.CAFile, past.TLSClientConfig.CAData = "", bundle
	past.TLSClientConfig.ServerName = serviceHost
	var clients []dynamic.NamespaceableResourceInterface
	for _, config := range []*rest.Config{config, past} {
		client, err := dynamic.NewForConfig(config)
		if err != nil {
			return nil, nil, err
		}
		clients = append(clients, client.Resource(ourJobs))
	}
	return clients[0], clients[1], nil
}

// quantile is that of durations, in microseconds.
func quantile(durations []time.Duration, q float64) float64 {
	slices.Sort(durations)
	return float64(durations[int(q*float64(len(durations)-1))].Microseconds())
}
