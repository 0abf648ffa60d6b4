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

package event

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/apis/core"
)

func TestRow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ago := func(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }
	agoMicro := func(d time.Duration) metav1.MicroTime { return metav1.NewMicroTime(now.Add(-d)) }
	for name, tc := range map[string]struct {
		event core.Event
		want  []any
	}{
		"counted": {
			core.Event{
				ObjectMeta:     metav1.ObjectMeta{Name: "e"},
				InvolvedObject: core.ObjectReference{Kind: "Pod", Name: "hello", FieldPath: "spec.containers{main}"},
				Type:           "Normal", Reason: "Started", Message: " started\n", Count: 3,
				FirstTimestamp: ago(10 * time.Minute), LastTimestamp: ago(time.Minute),
				Source: core.EventSource{Component: "kubelet", Host: "n"},
			},
			[]any{"60s", "Normal", "Started", "pod/hello", "spec.containers{main}", "kubelet, n", "started", "10m", int64(3), "e"},
		},
		"new style, once": {
			core.Event{InvolvedObject: core.ObjectReference{Kind: "Job", Name: "j"}, EventTime: agoMicro(2 * time.Minute), ReportingController: "job-controller", ReportingInstance: "i"},
			[]any{"2m", "", "", "job/j", "", "job-controller, i", "", "2m", int64(1), ""},
		},
		"new style, series": {
			core.Event{EventTime: agoMicro(time.Hour), Series: &core.EventSeries{Count: 5, LastObservedTime: agoMicro(time.Second)}, ReportingController: "c"},
			[]any{"1s", "", "", "", "", "c", "", "60m", int64(5), ""},
		},
		"empty": {
			core.Event{InvolvedObject: core.ObjectReference{Kind: "Node"}},
			[]any{"<unknown>", "", "", "node", "", "", "", "<unknown>", int64(1), ""},
		},
	} {
		if diff := cmp.Diff(tc.want, row(&tc.event, now).Cells); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
