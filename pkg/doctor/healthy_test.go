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

package doctor

import (
	"crypto/x509"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/utils/ptr"
)

var (
	now     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	options = Options{
		GroupVersion:   schema.GroupVersion{Group: "batch.jobserver.dev", Version: "v1"},
		Namespace:      "jobserver-system",
		ServiceAccount: "jobserver",
	}
)

// healthy are the facts of an installation on which nothing is wrong.
func healthy(t *testing.T) Facts {
	chain, bundle := issue(t, "jobserver.jobserver-system.svc", now.Add(90*24*time.Hour))
	facts := Facts{
		Now:            now,
		ClusterVersion: Answer[string]{Value: "v1.37.2"},
		ClusterDate:    now.Add(time.Second),
		APIService: Answer[*apiregistrationv1.APIService]{Value: &apiregistrationv1.APIService{
			Spec: apiregistrationv1.APIServiceSpec{
				Service:              &apiregistrationv1.ServiceReference{Namespace: "jobserver-system", Name: "jobserver", Port: ptr.To[int32](443)},
				GroupPriorityMinimum: 1000,
				CABundle:             bundle,
			},
			Status: apiregistrationv1.APIServiceStatus{Conditions: []apiregistrationv1.APIServiceCondition{
				{Type: apiregistrationv1.Available, Status: apiregistrationv1.ConditionTrue},
			}},
		}},
		Service: Answer[*corev1.Service]{Value: &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "jobserver-system", Name: "jobserver"},
			Spec: corev1.ServiceSpec{
				ClusterIP: "10.96.0.9", Selector: map[string]string{"app.kubernetes.io/name": "jobserver"}, Ports: []corev1.ServicePort{{Name: "https", Port: 443}},
			},
		}},
		Workloads: Answer[[]Workload]{Value: []Workload{{
			Kind: "statefulset", Name: "jobserver", Replicas: 1, Labels: map[string]string{"app.kubernetes.io/name": "jobserver"},
		}}},
		Authorities: Answer[[]byte]{Value: bundle},
		Slices: Answer[[]discoveryv1.EndpointSlice]{Value: []discoveryv1.EndpointSlice{{
			Ports:     []discoveryv1.EndpointPort{{Name: ptr.To("https"), Port: ptr.To[int32](8443)}},
			Endpoints: []discoveryv1.Endpoint{{Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}}},
		}}},
		Handshake:  Answer[[]*x509.Certificate]{Value: chain},
		FrontProxy: Answer[*corev1.ConfigMap]{Value: &corev1.ConfigMap{Data: map[string]string{"requestheader-client-ca-file": string(bundle)}}},
		Account:    options.account(),
		Rights:     neededRights(options),
		Discovery:  Response{Code: 200, Date: now},
		Delegated:  Response{Code: 200},
		Data:       Answer[*corev1.ConfigMap]{Value: &corev1.ConfigMap{Data: map[string]string{"mark": "{}"}}},
		Readyz:     Response{Code: 200, Body: "[+]ping ok\n[+]etcd ok\nreadyz check passed\n"},
	}
	for i := range facts.Rights {
		facts.Rights[i].Allowed = true
	}
	return facts
}
