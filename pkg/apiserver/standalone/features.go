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
	"sync"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
)

// features are those that Kubernetes keeps switched off by default, and that this server's own node has. Without them the API would drop the fields silently.
var features = map[string]bool{
	"ContainerStopSignals": true, // lifecycle.stopSignal
}

// enableFeatures switches them on, for the whole process.
var enableFeatures = sync.OnceValue(func() error {
	if err := utilfeature.DefaultMutableFeatureGate.SetFromMap(features); err != nil {
		return fmt.Errorf("switch on features of the node: %w", err)
	}
	return nil
})
