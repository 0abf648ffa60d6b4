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
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/apis/core"

	"github.com/jobserver-dev/jobserver/pkg/registry/core/table"
)

func newTable() rest.TableConvertor {
	doc := corev1.Event{}.SwaggerDoc()
	name := table.NameColumn()
	name.Priority = 1
	return table.New([]metav1.TableColumnDefinition{
		table.Column("Last Seen", doc["lastTimestamp"]),
		table.Column("Type", doc["type"]),
		table.Column("Reason", doc["reason"]),
		table.Column("Object", doc["involvedObject"]),
		table.WideColumn("Subobject", corev1.ObjectReference{}.SwaggerDoc()["fieldPath"]),
		table.WideColumn("Source", doc["source"]),
		table.Column("Message", doc["message"]),
		table.WideColumn("First Seen", doc["firstTimestamp"]),
		table.WideColumn("Count", doc["count"]),
		name,
	}, row)
}

func row(ev *core.Event, now time.Time) metav1.TableRow {
	first, last, count := occurrences(ev)
	return metav1.TableRow{Cells: []any{
		table.Age(last, now),
		ev.Type,
		ev.Reason,
		object(ev.InvolvedObject),
		ev.InvolvedObject.FieldPath,
		source(ev),
		strings.TrimSpace(ev.Message),
		table.Age(first, now),
		int64(count),
		ev.Name,
	}}
}

// occurrences returns when the event was first and last seen and how often. Two styles of event meet here: the old one
// counts in firstTimestamp, lastTimestamp and count; that of events.k8s.io has eventTime, and a series from the second
// occurrence on. A zero time means that the event doesn't say.
func occurrences(ev *core.Event) (first, last time.Time, count int32) {
	first = ev.FirstTimestamp.Time
	if first.IsZero() {
		first = ev.EventTime.Time
	}
	if ev.Series != nil {
		return first, ev.Series.LastObservedTime.Time, ev.Series.Count
	}
	last = ev.LastTimestamp.Time
	if last.IsZero() {
		last = first
	}
	if ev.Count == 0 {
		return first, last, 1 // the new style doesn't count a single occurrence
	}
	return first, last, ev.Count
}

// object names what the event is about, such as pod/hello-x7k2p.
func object(ref core.ObjectReference) string {
	kind := strings.ToLower(ref.Kind)
	if ref.Name == "" {
		return kind
	}
	return kind + "/" + ref.Name
}

// source names who reported the event: a component and, where known, the host or instance it runs on.
func source(ev *core.Event) string {
	component := table.Or(ev.Source.Component, ev.ReportingController)
	instance := table.Or(ev.Source.Host, ev.ReportingInstance)
	if instance == "" {
		return component
	}
	return component + ", " + instance
}
