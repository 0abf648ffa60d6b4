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

package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
)

// anyMetric is a metric that every server of Jobs has from its start, wherever it has its metrics.
const anyMetric = "ttl_after_finished_controller_job_deletion_duration_seconds"

// Metrics are the metrics of the controllers at one moment, by name.
type Metrics map[string]*dto.MetricFamily

// Value is the value of a counter, or the number of observations of a histogram, with exactly some labels: pairs of a name and a value.
// It is 0 where there is no such series, which may come with its first event.
func (m Metrics) Value(name string, labels ...string) float64 {
	for _, metric := range m[name].GetMetric() {
		if !hasLabels(metric, labels) {
			continue
		}
		if histogram := metric.GetHistogram(); histogram != nil {
			return float64(histogram.GetSampleCount())
		}
		return metric.GetCounter().GetValue()
	}
	return 0
}

func hasLabels(metric *dto.Metric, labels []string) bool {
	if len(metric.GetLabel())*2 != len(labels) {
		return false
	}
	want := map[string]string{}
	for i := 0; i < len(labels); i += 2 {
		want[labels[i]] = labels[i+1]
	}
	for _, label := range metric.GetLabel() {
		if want[label.GetName()] != label.GetValue() {
			return false
		}
	}
	return true
}

// Metrics reads the metrics of the controllers.
func (t *T) Metrics() Metrics {
	metrics, err := t.Target().metrics(t.ctx)
	t.Must(err)
	return metrics
}

// WaitGain waits until a metric with some labels, as for Value, is higher than it was before by a number. Other tests may add to it.
func (t *T) WaitGain(before Metrics, gain float64, name string, labels ...string) {
	t.Eventually(fmt.Sprintf("%s%q is higher by %v", name, labels, gain), func() error {
		if gained := t.Metrics().Value(name, labels...) - before.Value(name, labels...); gained < gain {
			return fmt.Errorf("it is by %v", gained)
		}
		return nil
	})
}

// UseMetrics has the metrics of the controllers read from the address of a process that has them, rather than from the server itself. What
// the kubeconfig says of the user holds there too; authority is a file with the certificates that sign that of the process, or empty for
// those of the kubeconfig.
func (t *Target) UseMetrics(ctx context.Context, address, authority string) error {
	t.controllers = strings.TrimSuffix(address, "/")
	if authority != "" {
		config := rest.CopyConfig(t.config)
		config.CAFile, config.CAData = authority, nil
		client, err := rest.HTTPClientFor(config)
		if err != nil {
			return fmt.Errorf("make a client of %s: %w", address, err)
		}
		t.controllersClient = client
	}
	var last error
	err := wait.PollUntilContextTimeout(ctx, slowestPoll, readyTimeout, true, func(ctx context.Context) (bool, error) {
		_, last = t.metrics(ctx)
		return last == nil, nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	t.features.Insert(FeatureMetrics)
	return nil
}

// metrics reads the metrics of the controllers. It fails where they are not there.
func (t *Target) metrics(ctx context.Context) (Metrics, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.controllers+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := t.controllersClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read the metrics of the controllers: %w", err)
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		return nil, fmt.Errorf("read the metrics of the controllers: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read the metrics of the controllers: %s: %.200s", response.Status, body.String())
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	metrics, err := parser.TextToMetricFamilies(&body)
	if err != nil {
		return nil, fmt.Errorf("read the metrics of the controllers: %w", err)
	}
	if metrics[anyMetric] == nil {
		return nil, fmt.Errorf("%s has no metrics of Job controllers", t.controllers)
	}
	return metrics, nil
}
