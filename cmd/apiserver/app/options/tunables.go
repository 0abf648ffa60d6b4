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

package options

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/jobserver-dev/jobserver/pkg/apiserver/controllers"
	"github.com/jobserver-dev/jobserver/pkg/controller/garbagecollector"
	"github.com/jobserver-dev/jobserver/pkg/controller/job"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
	"github.com/jobserver-dev/jobserver/pkg/controller/namespace"
	"github.com/jobserver-dev/jobserver/pkg/controller/podgc"
	"github.com/jobserver-dev/jobserver/pkg/controller/ttlafterfinished"
)

// Defaults of kube-controller-manager's --kube-api-qps and --kube-api-burst.
const (
	defaultHostAPIQPS   = 20
	defaultHostAPIBurst = 30
)

// Tunables are the flags that say how hard the controllers work. Names that kube-controller-manager has too mean the same as there, and all
// have its defaults.
type Tunables struct {
	ConcurrentJobSyncs      int
	JobSyncBatchPeriod      time.Duration
	JobPodFailureBackoff    time.Duration
	JobPodFailureBackoffMax time.Duration

	ConcurrentTTLAfterFinishedSyncs int
	ConcurrentGCSyncs               int
	ConcurrentNamespaceSyncs        int
	TerminatedPodGCThreshold        int

	HostAPIQPS   float32
	HostAPIBurst int
}

// NewTunables returns the defaults.
func NewTunables() *Tunables {
	limits := plan.DefaultLimits()
	return &Tunables{
		ConcurrentJobSyncs:              job.DefaultWorkers,
		JobSyncBatchPeriod:              job.DefaultSyncBatchPeriod,
		JobPodFailureBackoff:            limits.FailureBackoff,
		JobPodFailureBackoffMax:         limits.FailureBackoffMax,
		ConcurrentTTLAfterFinishedSyncs: ttlafterfinished.DefaultWorkers,
		ConcurrentGCSyncs:               garbagecollector.DefaultWorkers,
		ConcurrentNamespaceSyncs:        namespace.DefaultWorkers,
		TerminatedPodGCThreshold:        podgc.DefaultTerminatedPodThreshold,
		HostAPIQPS:                      defaultHostAPIQPS,
		HostAPIBurst:                    defaultHostAPIBurst,
	}
}

// AddFlags adds the flags to flags.
func (t *Tunables) AddFlags(flags *pflag.FlagSet) {
	flags.IntVar(&t.ConcurrentJobSyncs, "concurrent-job-syncs", t.ConcurrentJobSyncs, "Number of Jobs that are synced at the same time.")
	flags.DurationVar(&t.JobSyncBatchPeriod, "job-sync-batch-period", t.JobSyncBatchPeriod, "Longest time for which events of a Job's Pods are collected before the Job is synced.")
	flags.DurationVar(&t.JobPodFailureBackoff, "job-pod-failure-backoff", t.JobPodFailureBackoff, "Wait before the first failed Pod of a Job is replaced. It doubles with each failure.")
	flags.DurationVar(&t.JobPodFailureBackoffMax, "job-pod-failure-backoff-max", t.JobPodFailureBackoffMax, "Longest wait before a failed Pod of a Job is replaced.")
	flags.IntVar(&t.ConcurrentTTLAfterFinishedSyncs, "concurrent-ttl-after-finished-syncs", t.ConcurrentTTLAfterFinishedSyncs, "Number of finished Jobs that are cleaned up at the same time.")
	flags.IntVar(&t.ConcurrentGCSyncs, "concurrent-gc-syncs", t.ConcurrentGCSyncs, "Number of objects that the garbage collector handles at the same time.")
	flags.IntVar(&t.ConcurrentNamespaceSyncs, "concurrent-namespace-syncs", t.ConcurrentNamespaceSyncs, "Number of namespaces that are emptied at the same time.")
	flags.IntVar(&t.TerminatedPodGCThreshold, "terminated-pod-gc-threshold", t.TerminatedPodGCThreshold, "Number of ended Pods that there may be before the oldest are deleted, once their Jobs have counted them. 0 or less: any number.")
	flags.Float32Var(&t.HostAPIQPS, "host-api-qps", t.HostAPIQPS, "Requests a second that each controller makes to the cluster beside which this server serves. Negative: any number. Without a cluster there is no limit.")
	flags.IntVar(&t.HostAPIBurst, "host-api-burst", t.HostAPIBurst, "Requests that each controller may make to the cluster at once, beyond --host-api-qps.")
}

// Validate returns an error for each flag with a bad value.
func (t *Tunables) Validate() []error {
	var errs []error
	for _, count := range []struct {
		flag  string
		value int
	}{
		{"concurrent-job-syncs", t.ConcurrentJobSyncs},
		{"concurrent-ttl-after-finished-syncs", t.ConcurrentTTLAfterFinishedSyncs},
		{"concurrent-gc-syncs", t.ConcurrentGCSyncs},
		{"concurrent-namespace-syncs", t.ConcurrentNamespaceSyncs},
		{"host-api-burst", t.HostAPIBurst},
	} {
		if count.value < 1 {
			errs = append(errs, fmt.Errorf("--%s: %d is not greater than 0", count.flag, count.value))
		}
	}
	for _, duration := range []struct {
		flag  string
		value time.Duration
	}{
		{"job-sync-batch-period", t.JobSyncBatchPeriod},
		{"job-pod-failure-backoff", t.JobPodFailureBackoff},
		{"job-pod-failure-backoff-max", t.JobPodFailureBackoffMax},
	} {
		if duration.value <= 0 {
			errs = append(errs, fmt.Errorf("--%s: %s is not greater than 0", duration.flag, duration.value))
		}
	}
	if t.JobPodFailureBackoffMax < t.JobPodFailureBackoff {
		errs = append(errs, fmt.Errorf("--job-pod-failure-backoff-max: %s is less than --job-pod-failure-backoff, %s",
			t.JobPodFailureBackoffMax, t.JobPodFailureBackoff))
	}
	// Written so that it holds for NaN too, which ParseFloat reads.
	if !(t.HostAPIQPS > 0 || t.HostAPIQPS < 0) {
		errs = append(errs, fmt.Errorf("--host-api-qps: %v is neither greater than 0 nor, for no limit, less", t.HostAPIQPS))
	}
	return errs
}

// job is what the flags say of the Job controller.
func (t *Tunables) job() controllers.JobOptions {
	return controllers.JobOptions{
		Syncs:                t.ConcurrentJobSyncs,
		SyncBatchPeriod:      t.JobSyncBatchPeriod,
		PodFailureBackoff:    t.JobPodFailureBackoff,
		PodFailureBackoffMax: t.JobPodFailureBackoffMax,
	}
}

// cleaning is what the flags say of the controllers that clean up.
func (t *Tunables) cleaning() controllers.CleaningOptions {
	threshold := t.TerminatedPodGCThreshold
	if threshold <= 0 {
		threshold = -1
	}
	return controllers.CleaningOptions{
		TTLAfterFinishedSyncs:  t.ConcurrentTTLAfterFinishedSyncs,
		GarbageCollectorSyncs:  t.ConcurrentGCSyncs,
		NamespaceSyncs:         t.ConcurrentNamespaceSyncs,
		TerminatedPodThreshold: threshold,
	}
}
