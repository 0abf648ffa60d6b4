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

package upgrade

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/client-go/rest"
)

// Groups are the paths of the groups that show a Job.
var Groups = []string{"/apis/batch.jobserver.dev/v1", "/apis/batch/v1"}

// jobsPrefix is what the keys of Jobs have begun with in all versions.
const jobsPrefix = "/registry/jobs/"

// Job is a Job as one version has stored it.
type Job struct {
	// Key is that in etcd, such as /registry/jobs/default/hello.
	Key string `json:"key"`
	// Value is what stands in etcd.
	Value []byte `json:"value"`
	// Shown is what the version answered to a read of the Job, by the group in Groups that it was asked for.
	Shown map[string]json.RawMessage `json:"shown"`
}

// Path is that of the Job in a group.
func (j Job) Path(group string) string {
	namespace, name, _ := strings.Cut(strings.TrimPrefix(j.Key, jobsPrefix), "/")
	return group + "/namespaces/" + namespace + "/jobs/" + name
}

// Record returns all Jobs of a server, in the order of their keys. Nobody may write any meanwhile.
func Record(ctx context.Context, etcd *clientv3.Client, api rest.Interface) ([]Job, error) {
	found, err := etcd.Get(ctx, jobsPrefix, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("reading the Jobs in etcd: %w", err)
	}
	var all []Job
	for _, kv := range found.Kvs {
		job := Job{Key: string(kv.Key), Value: kv.Value, Shown: map[string]json.RawMessage{}}
		for _, group := range Groups {
			if job.Shown[group], err = api.Get().AbsPath(job.Path(group)).DoRaw(ctx); err != nil {
				return nil, fmt.Errorf("reading %s: %w", job.Path(group), err)
			}
		}
		all = append(all, job)
	}
	return all, nil
}
