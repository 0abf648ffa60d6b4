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

package secret

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/apis/core"

	"github.com/jobserver-dev/jobserver/pkg/registry/core/table"
)

func newTable() rest.TableConvertor {
	doc := corev1.Secret{}.SwaggerDoc()
	return table.New([]metav1.TableColumnDefinition{
		table.NameColumn(),
		table.Column("Type", doc["type"]),
		table.Column("Data", doc["data"]),
		table.AgeColumn(),
	}, row)
}

func row(s *core.Secret, now time.Time) metav1.TableRow {
	return metav1.TableRow{Cells: []any{
		s.Name,
		string(s.Type),
		int64(len(s.Data)),
		table.Age(s.CreationTimestamp.Time, now),
	}}
}
