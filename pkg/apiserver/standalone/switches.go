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

package standalone

import (
	"fmt"
	"slices"
	"strings"
)

// Names of the controllers, with kube-controller-manager's own names for the same ones.
const (
	jobController              = "job-controller"
	ttlAfterFinishedController = "ttl-after-finished-controller"
	garbageCollectorController = "garbage-collector-controller"
	namespaceController        = "namespace-controller"
	nodeAgent                  = "node-agent"
	allControllers             = "*"
	switchedOff                = "-"
)

// aliases are shorter names, which kube-controller-manager knows too.
var aliases = map[string]string{
	"job":                jobController,
	"ttl-after-finished": ttlAfterFinishedController,
	"garbagecollector":   garbageCollectorController,
	"namespace":          namespaceController,
}

// ControllerNames are all controllers that a standalone server can run, sorted.
func ControllerNames() []string {
	names := []string{jobController, ttlAfterFinishedController, garbageCollectorController, namespaceController, nodeAgent}
	slices.Sort(names)
	return names
}

// ValidateControllers returns an error for each item of a list of controllers that names none.
func ValidateControllers(list []string) []error {
	var errs []error
	for _, item := range list {
		if item == allControllers {
			continue
		}
		if name := canonical(item); !slices.Contains(ControllerNames(), name) {
			errs = append(errs, fmt.Errorf("%q is not a controller: must be *, or one of %s, each with - in front to switch it off",
				item, strings.Join(ControllerNames(), ", ")))
		}
	}
	return errs
}

// enabled tells whether a list of controllers switches name on. A mention of the name itself decides; else "*" does.
func enabled(name string, list []string) bool {
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
