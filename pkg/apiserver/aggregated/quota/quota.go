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

// Package quota makes a cluster's ResourceQuotas count Jobs that an aggregated server keeps. The admission of a cluster's own API server never
// sees requests that it hands on.
//
// The decision is that of k8s.io/apiserver: what is used stands in the status of the ResourceQuota, and is raised there, with a check that nobody else
// wrote it meanwhile, before the Job is stored. So replicas and the cluster's own API server share one account, and never pass a limit together.
// The cluster's quota controller, which sees Jobs through discovery, lowers it when Jobs go. It counts in its own cache: one that lags makes the account too low. So no
// Job is stored either where as many as are allowed are stored already, whatever the account says.
package quota

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/admission"
	genericinitializer "k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/admission/plugin/resourcequota"
	apisquota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/client-go/informers"
	corev1listers "k8s.io/client-go/listers/core/v1"
)

// PluginName is the name of the plugin for --disable-admission-plugins, that of Kubernetes' own.
const PluginName = resourcequota.PluginName

const (
	// evaluators is how many namespaces are decided upon at the same time, as in Kubernetes.
	evaluators = 5

	// firstRetry is the shortest time after which a charge that met others is tried again, up to twice that; it doubles each time. All retries take some
	// five seconds.
	firstRetry = 15 * time.Millisecond
	retries    = 8
)

// Register makes the plugin known.
func Register(plugins *admission.Plugins) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) {
		base, err := resourcequota.NewResourceQuota(nil, evaluators)
		if err != nil {
			return nil, err
		}
		return &plugin{QuotaAdmission: base}, nil
	})
}

// plugin charges a Job to every name that it has: served in two groups it is one object in each, and the quota controller counts both.
type plugin struct {
	*resourcequota.QuotaAdmission
	quotas corev1listers.ResourceQuotaLister
	config Config
}

var (
	_ admission.ValidationInterface                       = &plugin{}
	_ genericinitializer.WantsExternalKubeInformerFactory = &plugin{}
)

// SetExternalKubeInformerFactory implements WantsExternalKubeInformerFactory.
func (p *plugin) SetExternalKubeInformerFactory(factory informers.SharedInformerFactory) {
	p.QuotaAdmission.SetExternalKubeInformerFactory(factory)
	p.quotas = factory.Core().V1().ResourceQuotas().Lister()
}

// Validate implements admission.ValidationInterface.
func (p *plugin) Validate(ctx context.Context, attributes admission.Attributes, objects admission.ObjectInterfaces) error {
	if attributes.GetSubresource() != "" || attributes.GetOperation() != admission.Create {
		return nil
	}
	for _, resource := range p.config.Resources {
		if err := p.checkStored(ctx, named{attributes, resource}); err != nil {
			return err
		}
	}
	for _, resource := range p.config.Resources {
		if err := p.charge(ctx, named{attributes, resource}, objects); err != nil {
			return err
		}
	}
	return nil
}

// charge charges a Job under one name. k8s.io/apiserver gives up after three conflicts, and its caller gets one although he changed nothing: three replicas and the quota
// controller, which all write the same status, come to that easily. So it is tried again, each time with what the others wrote.
func (p *plugin) charge(ctx context.Context, attributes admission.Attributes, objects admission.ObjectInterfaces) error {
	backoff := wait.Backoff{Duration: firstRetry, Factor: 2, Jitter: 1, Steps: retries}
	for {
		err := p.QuotaAdmission.Validate(ctx, attributes, objects)
		switch {
		case !apierrors.IsConflict(err):
			return err
		case backoff.Steps == 0:
			return busy(attributes.GetResource().GroupResource(), err)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(backoff.Step()):
		}
	}
}

// busy asks the user to try again, and says why: it is no conflict, for he changed nothing that another has changed.
func busy(resource schema.GroupResource, cause error) error {
	answer := apierrors.NewServerTimeout(resource, "create", 1)
	answer.ErrStatus.Message = fmt.Sprintf("%s Charging the Job to its quotas: %v", answer.ErrStatus.Message, cause)
	return answer
}

// named are attributes of a request under another name of the same resource.
type named struct {
	admission.Attributes
	resource schema.GroupVersionResource
}

// GetResource implements admission.Attributes.
func (n named) GetResource() schema.GroupVersionResource { return n.resource }

// ValidateInitialization implements admission.InitializationValidator.
func (p *plugin) ValidateInitialization() error {
	if len(p.config.Resources) == 0 || p.config.CountStored == nil {
		return errors.New("missing resources, or how they are counted")
	}
	if p.quotas == nil {
		return errors.New("missing quotas")
	}
	return p.QuotaAdmission.ValidateInitialization()
}

// Config is what the plugin has to know of the server. All fields are required.
type Config struct {
	// Resources are the names that Jobs are served by.
	Resources []schema.GroupVersionResource
	// CountStored returns how many Jobs of a namespace are stored, as of now.
	CountStored func(ctx context.Context, namespace string) (int64, error)
}

// NewInitializer returns what configures the plugin.
func NewInitializer(config Config) admission.PluginInitializer {
	return initializer(config)
}

type initializer Config

// Initialize implements admission.PluginInitializer.
func (i initializer) Initialize(target admission.Interface) {
	p, ok := target.(*plugin)
	if !ok {
		return
	}
	p.config = Config(i)
	var counts []apisquota.Evaluator
	for _, resource := range i.Resources {
		// Usage is never counted here: the quota controller does.
		counts = append(counts, generic.NewObjectCountEvaluator(resource.GroupResource(), nil, ""))
	}
	p.SetQuotaConfiguration(generic.NewConfiguration(counts, nil))
}
