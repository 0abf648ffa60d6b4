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

package controllers

import (
	"fmt"
	"slices"
	"strings"
)

// Names of the controllers, with kube-controller-manager's own names for the same ones.
const (
	Job              = "job-controller"
	TTLAfterFinished = "ttl-after-finished-controller"
	GarbageCollector = "garbage-collector-controller"
	Namespace        = "namespace-controller"
	PodGC            = "pod-garbage-collector-controller"

	// VanishedNamespace deletes what a cluster that has forgotten a namespace left here. Kubernetes knows no such controller.
	VanishedNamespace = "vanished-namespace-controller"

	// NodeAgent is switched like a controller, but belongs to its machine: it runs on each replica, and not here.
	NodeAgent = "node-agent"

	allControllers = "*"
	switchedOff    = "-"
)

// aliases are shorter names, which kube-controller-manager knows too.
var aliases = map[string]string{
	"job":                Job,
	"ttl-after-finished": TTLAfterFinished,
	"garbagecollector":   GarbageCollector,
	"namespace":          Namespace,
	"podgc":              PodGC,
}

// StandaloneNames are all that a standalone server can run, sorted.
func StandaloneNames() []string {
	return []string{GarbageCollector, Job, Namespace, NodeAgent, PodGC, TTLAfterFinished}
}

// AggregatedNames are all that a server beside a cluster can run, sorted. What is missing, the cluster's own controllers do.
func AggregatedNames() []string {
	return []string{Job, TTLAfterFinished, VanishedNamespace}
}

// ValidateSwitches returns an error for each item of a list of switches that is about none of names.
func ValidateSwitches(list, names []string) []error {
	var errs []error
	for _, item := range list {
		if item != allControllers && !slices.Contains(names, canonical(item)) {
			errs = append(errs, fmt.Errorf("%q is not a controller: must be *, or one of %s, each with - in front to switch it off",
				item, strings.Join(names, ", ")))
		}
	}
	return errs
}

// Enabled tells whether a list of switches switches name on. A mention of the name itself decides; else "*" does.
func Enabled(name string, list []string) bool {
	on := false
	for _, item := range list {
		switch {
		case item == allControllers:
			on = true
		case canonical(item) == name:
			return !strings.HasPrefix(item, switchedOff)
		}
	}
	return on
}

func canonical(item string) string {
	name := strings.TrimPrefix(item, switchedOff)
	if full, ok := aliases[name]; ok {
		return full
	}
	return name
}
