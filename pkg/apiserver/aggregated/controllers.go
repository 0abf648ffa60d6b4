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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/controllers"
	"github.com/jobserver-dev/jobserver/pkg/controller/job"
	"github.com/jobserver-dev/jobserver/pkg/controller/vanishednamespace"
)

// newManager makes the controllers: they find Jobs here, and all else in the cluster.
func (s *Server) newManager(own *apiserver.Config, options Options, cluster *host) (*controllers.Manager, error) {
	name, err := replicaName()
	if err != nil {
		return nil, err
	}
	store := s.backend.Store
	memory, err := vanishednamespace.NewMemory(vanishednamespace.MemoryConfig{
		Etcd: s.backend.Client, Prefix: store.SightingsPrefix(), JobsPrefix: store.JobsPrefix(), MarkKey: store.LineageKey(), Decode: apiserver.DecodeStored,
	})
	if err != nil {
		return nil, err
	}
	config := controllers.Config{
		Names:      options.controllerNames(),
		JobClient:  own.LoopbackClient,
		HostClient: cluster.client,
		Identity:   job.OwnIdentity(),
		Memory:     memory,
		Job:        options.Job,
		Cleaning:   options.Cleaning,
	}
	if options.BatchV1Profile != "" {
		// Ours is the cluster's only Job controller: Pods get the names that tools know, and all are watched, as any could be one's to adopt.
		config.Identity = job.KubeIdentity()
		config.Identity.Label = batch.ManagedLabel
	} else {
		// Others' Pods are none of our business, and there may be very many.
		config.SelectHost = func(list *metav1.ListOptions) { list.LabelSelector = batch.ManagedLabel }
	}
	return controllers.NewManager(config, s.backend.Election(options.Election, name))
}
