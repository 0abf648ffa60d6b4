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

package certificates

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// checkPeriod is how often the Secret is read, at the most. What another replica wrote has to be taken over before the end of what
	// is served, which is months away.
	checkPeriod = time.Minute

	// checksPerLife bounds checkPeriod for certificates with a short life.
	checksPerLife = 30

	// maxAttempts is how often one check may lose against another replica that writes the Secret at the same time.
	maxAttempts = 5
)

// Config is what a Keeper is made of.
type Config struct {
	// Secrets are those of the server's namespace, in the cluster. Required.
	Secrets typedcorev1.SecretInterface
	// SecretName is the Secret that the replicas share; it is made where it is missing. Required.
	SecretName string
	// Policy says what certificates to make.
	Policy Policy
	// Published tells whether callers have a CA bundle. Nil: nobody can tell, and the overlap has to do.
	Published func(bundle []byte) bool
	// Changed is called when callers have to be given another bundle. Optional.
	Changed func()
	// Clock is the time. Default: the real one.
	Clock clock.PassiveClock
}

// Keeper keeps the certificates of one replica up to date. It is a dynamiccertificates.CertKeyContentProvider for the API server.
type Keeper struct {
	config Config

	mu        sync.RWMutex
	served    State
	bundle    []byte
	listeners []dynamiccertificates.Listener
}

var _ dynamiccertificates.CertKeyContentProvider = &Keeper{}

// NewKeeper returns a Keeper. It has nothing to serve before the first Check.
func NewKeeper(config Config) (*Keeper, error) {
	if config.Secrets == nil || config.SecretName == "" {
		return nil, errors.New("certificates: Secrets and SecretName are required")
	}
	config.Policy = config.Policy.WithDefaults()
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	return &Keeper{config: config}, nil
}

// Run checks until ctx ends. A failure is logged and tried again: what is served stays good for a long time.
func (k *Keeper) Run(ctx context.Context) {
	period := min(checkPeriod, k.config.Policy.ServingValidity/checksPerLife)
	wait.JitterUntilWithContext(ctx, func(ctx context.Context) {
		if err := k.Check(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Failed to check the serving certificate, the present one stays")
		}
	}, period, 0.1, false)
}

// Check reads the Secret, takes the step that is due and serves the result. Replicas that check at the same time agree: one writes,
// the others read what it wrote.
func (k *Keeper) Check(ctx context.Context) error {
	for range maxAttempts {
		state, err := k.check(ctx)
		if err == nil {
			return k.serve(ctx, state)
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("certificates in Secret %s: %w", k.config.SecretName, err)
		}
	}
	return fmt.Errorf("certificates in Secret %s: changed by others %d times while it was written", k.config.SecretName, maxAttempts)
}

func (k *Keeper) check(ctx context.Context) (State, error) {
	secret, err := k.config.Secrets.Get(ctx, k.config.SecretName, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if missing {
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: k.config.SecretName}, Type: corev1.SecretTypeTLS}
	} else if err != nil {
		return State{}, err
	}
	state, err := fromSecret(secret)
	if err != nil {
		return State{}, err
	}
	state, err = state.Advance(k.config.Policy, k.config.Clock.Now(), k.published(state))
	if err != nil {
		return State{}, err
	}
	before := secret.DeepCopy()
	if err := state.toSecret(secret); err != nil {
		return State{}, err
	}
	switch {
	case missing:
		_, err = k.config.Secrets.Create(ctx, secret, metav1.CreateOptions{})
	case !equality.Semantic.DeepEqual(before.Data, secret.Data):
		_, err = k.config.Secrets.Update(ctx, secret, metav1.UpdateOptions{})
	}
	return state, err
}

func (k *Keeper) published(state State) bool {
	if k.config.Published == nil {
		return true
	}
	bundle, err := state.BundlePEM()
	return err == nil && k.config.Published(bundle)
}

// serve takes over a state, and tells who serves it.
func (k *Keeper) serve(ctx context.Context, state State) error {
	bundle, err := state.BundlePEM()
	if err != nil {
		return err
	}
	k.mu.Lock()
	before, changed := k.served, !bytes.Equal(k.bundle, bundle)
	k.served, k.bundle = state, bundle
	listeners := k.listeners
	k.mu.Unlock()
	if changed && k.config.Changed != nil {
		k.config.Changed()
	}

	if before.Serving != nil && bytes.Equal(before.Serving.Cert, state.Serving.Cert) {
		return nil
	}
	klog.FromContext(ctx).Info("Serving with a new certificate", "secret", k.config.SecretName, "notAfter", state.Serving.Certificate.NotAfter,
		"authority", state.Authority.Certificate.Subject.CommonName)
	for _, listener := range listeners {
		listener.Enqueue()
	}
	return nil
}

// Bundle is what callers have to trust, in PEM.
func (k *Keeper) Bundle() []byte {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.bundle
}

// Name implements dynamiccertificates.CertKeyContentProvider.
func (k *Keeper) Name() string { return "secret/" + k.config.SecretName }

// CurrentCertKeyContent implements dynamiccertificates.CertKeyContentProvider.
func (k *Keeper) CurrentCertKeyContent() (certificate, key []byte) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.served.Serving == nil {
		return nil, nil
	}
	return k.served.Serving.Cert, k.served.Serving.Key
}

// AddListener implements dynamiccertificates.Notifier.
func (k *Keeper) AddListener(listener dynamiccertificates.Listener) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.listeners = append(k.listeners, listener)
}
