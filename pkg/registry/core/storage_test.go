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

package core_test

import (
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/jobserver-dev/jobserver/pkg/registry/core"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := core.NewAPIGroupInfo(core.Config{EventTTL: -time.Second})
	for _, want := range []string{"no Scheme", "no ParameterCodec", "no RESTOptionsGetter", "EventTTL is -1s"} {
		wantError(t, err, func(error) bool { return true }, want)
	}
	_, err = core.NewAPIGroupInfo(core.Config{EventTTL: 1500 * time.Millisecond})
	wantError(t, err, func(error) bool { return true }, "EventTTL is 1.5s")
}

// failingGetter has no options for one resource.
type failingGetter struct {
	generic.RESTOptionsGetter
	resource string
	err      error
}

func (g failingGetter) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	if resource.Resource == g.resource {
		return generic.RESTOptions{}, g.err
	}
	return g.RESTOptionsGetter.GetRESTOptions(resource, example)
}

func TestStoreThatCannotBeMade(t *testing.T) {
	t.Parallel()
	scheme := newScheme()
	codecs := serializer.NewCodecFactory(scheme)
	getter := restOptions(scheme, codecs, testserver.RunEtcd(t, nil).Endpoints())
	for _, resource := range []string{"pods", "namespaces", "nodes", "events", "configmaps", "secrets"} {
		cause := errors.New("no room")
		_, err := core.NewAPIGroupInfo(core.Config{
			Scheme: scheme, ParameterCodec: runtime.NewParameterCodec(scheme), Codecs: codecs,
			RESTOptionsGetter: failingGetter{getter, resource, cause},
		})
		wantError(t, err, func(err error) bool { return errors.Is(err, cause) }, "core/v1: store of "+resource+": ")
	}
}
