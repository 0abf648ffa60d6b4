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
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
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
	table := &hopTable{}
	measure := func(name, row string, request func(ctx context.Context, client dynamic.ResourceInterface, id string) error) {
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
				for _, q := range []float64{0.50, 0.99} {
					b.ReportMetric(float64(quantile(took[way], q).Microseconds()), fmt.Sprintf("%s-p%d-µs", label, int(100*q)))
				}
			}
			// Both ways together mean nothing.
			b.ReportMetric(0, "ns/op")
			table.add(row, took[0], took[1])
		})
	}
	measure("get", "get a Job", func(ctx context.Context, client dynamic.ResourceInterface, _ string) error {
		_, err := client.Get(ctx, "listed-000", metav1.GetOptions{})
		return err
	})
	measure("list", fmt.Sprintf("list %d Jobs", listed), func(ctx context.Context, client dynamic.ResourceInterface, _ string) error {
		list, err := client.List(ctx, metav1.ListOptions{LabelSelector: "set=listed"})
		if err == nil && len(list.Items) != listed {
			return fmt.Errorf("%d Jobs in the list", len(list.Items))
		}
		return err
	})
	measure("create", "create a Job", func(ctx context.Context, client dynamic.ResourceInterface, id string) error {
		_, err := client.Create(ctx, suspended(b, "made-"+id, "made"), metav1.CreateOptions{})
		return err
	})
	fmt.Printf("\n%s\n", table)
}

// hopTable is what was measured, as docs/performance.md has it.
type hopTable struct {
	rows     strings.Builder
	requests int
}

// add adds a kind of request. What was measured last of it is what is added last.
func (h *hopTable) add(row string, direct, through []time.Duration) {
	h.requests = len(direct)
	fmt.Fprintf(&h.rows, "| %s |", row)
	for _, q := range []float64{0.50, 0.99} {
		for _, took := range [][]time.Duration{direct, through} {
			fmt.Fprintf(&h.rows, " %.1f |", quantile(took, q).Seconds()*1000)
		}
	}
	h.rows.WriteString("\n")
}

// String is a table in Markdown, in milliseconds, with a line on the machine: numbers of a busy one say little.
func (h *hopTable) String() string {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		load = []byte("unknown")
	}
	return fmt.Sprintf("Milliseconds, of %d requests each way, one at a time, on %d cores, load average %s\n\n"+
		"| request | straight, p50 | through, p50 | straight, p99 | through, p99 |\n|---|---|---|---|---|\n%s",
		h.requests, runtime.NumCPU(), strings.TrimSpace(string(load)), &h.rows)
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

// quantile is that of durations, which it sorts.
func quantile(durations []time.Duration, q float64) time.Duration {
	slices.Sort(durations)
	return durations[int(q*float64(len(durations)-1))]
}
