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
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// Facts are all that was found out about an installation. What could not be has an error in its place.
type Facts struct {
	// Now is this machine's clock when the facts were gathered.
	Now time.Time

	// ClusterVersion is the version of the cluster's API server, and ClusterDate its clock.
	ClusterVersion Answer[string]
	ClusterDate    time.Time

	APIService Answer[*apiregistrationv1.APIService]
	Service    Answer[*corev1.Service]
	Slices     Answer[[]discoveryv1.EndpointSlice]
	// Pods are those that the Service selects.
	Pods Answer[[]corev1.Pod]
	// Workloads are what makes the server's Pods. There need not be any: the server can run outside of the cluster.
	Workloads Answer[[]Workload]

	// Authorities are the certificates, in PEM, by which the server says that its own can be checked.
	Authorities Answer[[]byte]

	// Handshake is the certificate that the server shows, where this machine reaches it.
	Handshake Answer[[]*x509.Certificate]

	// FrontProxy is the ConfigMap in which the cluster says which front proxy to believe.
	FrontProxy Answer[*corev1.ConfigMap]

	// Account is the service account that the server runs as, Rights is what the cluster says it may do.
	Account string
	Rights  []Right

	// Discovery is the answer to a request that goes all the way: through the cluster's API server to ours.
	Discovery Response
	// Delegated is the answer to a list of Jobs, made in the name of a user whose rights our server has to ask the cluster for.
	Delegated Response
	// Data is the ConfigMap in which our server marks how far the data in etcd has come.
	Data Answer[*corev1.ConfigMap]
	// Readyz is the answer of our health endpoint, through the cluster's proxy or straight.
	Readyz Response
}

// Workload is a Deployment or StatefulSet of the server.
type Workload struct {
	// Kind is that of kubectl's TYPE/NAME: deployment or statefulset.
	Kind, Name string
	Replicas   int32
	// Args are those of its containers, Labels those of its Pods.
	Args   []string
	Labels map[string]string
}

// Answer is a value, or why there is none.
type Answer[T any] struct {
	Value T
	Err   error
}

// Response is the answer to an HTTP request.
type Response struct {
	Code int
	Body string
	// Date is the server's clock. Zero where the answer has none.
	Date time.Time
	// Err: there was no answer.
	Err error
}

// Right is one thing that the server's account must be allowed.
type Right struct {
	authorizationv1.ResourceAttributes
	// For says what breaks without it.
	For     string
	Allowed bool
	Err     error
}
