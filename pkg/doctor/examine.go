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
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// Options say what to examine.
type Options struct {
	// Cluster is an administrator's access to the cluster. Required.
	Cluster *rest.Config
	// GroupVersion is the API to examine: batch.jobserver.dev/v1, or batch/v1 where that is taken over.
	GroupVersion schema.GroupVersion
	// Namespace and ServiceAccount are those that the server runs in and as. Required.
	Namespace      string
	ServiceAccount string
}

func (o Options) apiServiceName() string { return o.GroupVersion.Version + "." + o.GroupVersion.Group }

// account is the name by which the cluster knows the server.
func (o Options) account() string {
	return fmt.Sprintf("system:serviceaccount:%s:%s", o.Namespace, o.ServiceAccount)
}

// links are examined in the order in which a request passes them: the first bad one is the one to mend first.
var links = []struct {
	name  string
	judge func(Options, Facts) Finding
}{
	{"cluster", judgeCluster},
	{"APIService", judgeAPIService},
	{"caBundle", judgeBundle},
	{"service", judgeService},
	{"endpoints", judgeEndpoints},
	{"certificate", judgeCertificate},
	{"availability", judgeAvailability},
	{"front proxy", judgeFrontProxy},
	{"rights", judgeRights},
	{"request", judgeDiscovery},
	{"delegated call", judgeDelegated},
	{"data", judgeData},
	{"health and etcd", judgeHealth},
	{"clocks", judgeClocks},
}

// Examine gathers the facts and returns a finding for each link.
func Examine(ctx context.Context, options Options) ([]Finding, error) {
	facts, err := gather(ctx, options)
	if err != nil {
		return nil, err
	}
	return judge(options, facts), nil
}

// judge is pure: equal facts give equal findings. Without a cluster there is nothing else to say.
func judge(options Options, facts Facts) []Finding {
	var findings []Finding
	for i, link := range links {
		finding := link.judge(options, facts)
		finding.Link = link.name
		findings = append(findings, finding)
		if i == 0 && finding.Verdict == Bad {
			break
		}
	}
	return findings
}
