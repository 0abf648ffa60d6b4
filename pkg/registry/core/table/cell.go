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

package table

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

const (
	// None fills a cell of a value that isn't set.
	None = "<none>"
	// Unknown fills a cell of a value that should be known and isn't.
	Unknown = "<unknown>"
)

// Age returns how long ago at lay before now, in the short form of kubectl get, such as 5m30s; Unknown where at is zero.
func Age(at, now time.Time) string {
	if at.IsZero() {
		return Unknown
	}
	return duration.HumanDuration(now.Sub(at))
}

// Or returns value, or instead where value is empty.
func Or(value, instead string) string {
	if value == "" {
		return instead
	}
	return value
}

// NameColumn returns the column of an object's name.
func NameColumn() metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{
		Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"],
	}
}

// AgeColumn returns the column of the time since an object's creation.
func AgeColumn() metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{
		Name: "Age", Type: "string", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"],
	}
}

// Column returns a column of text that every client shows.
func Column(name, description string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "string", Description: description}
}

// WideColumn returns a column of text that clients show only in wide output.
func WideColumn(name, description string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "string", Priority: 1, Description: description}
}
