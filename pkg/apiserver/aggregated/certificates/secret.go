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
	"fmt"

	corev1 "k8s.io/api/core/v1"
	certutil "k8s.io/client-go/util/cert"

	"github.com/jobserver-dev/jobserver/pkg/pki"
)

// Keys of the Secret. Those of the serving certificate are those of every TLS Secret.
const (
	authorityKey = "ca"
	nextKey      = "next-ca"
	servingKey   = "tls"
	bundleKey    = "ca-bundle.crt"

	certificateSuffix = ".crt"
	keySuffix         = ".key"
)

// fromSecret reads the state that a Secret holds. What is missing stays empty; what can't be read is an error that names the key of the Secret.
func fromSecret(secret *corev1.Secret) (State, error) {
	var state State
	for _, field := range []struct {
		name     string
		identity **pki.Identity
	}{{authorityKey, &state.Authority}, {nextKey, &state.Next}, {servingKey, &state.Serving}} {
		pair := pki.KeyPair{Cert: secret.Data[field.name+certificateSuffix], Key: secret.Data[field.name+keySuffix]}
		if len(pair.Cert) == 0 && len(pair.Key) == 0 {
			continue
		}
		identity, err := pki.Parse(pair)
		if err != nil {
			return State{}, fmt.Errorf("keys %s.crt and %s.key of Secret %s/%s: %w", field.name, field.name, secret.Namespace, secret.Name, err)
		}
		*field.identity = identity
	}
	if bundle := secret.Data[bundleKey]; len(bundle) > 0 {
		certificates, err := certutil.ParseCertsPEM(bundle)
		if err != nil {
			return State{}, fmt.Errorf("key %s of Secret %s/%s: %w", bundleKey, secret.Namespace, secret.Name, err)
		}
		state.Bundle = certificates
	}
	return state, nil
}

// toSecret puts the state into a Secret, and leaves keys alone that are not its own.
func (s State) toSecret(secret *corev1.Secret) error {
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	for name, identity := range map[string]*pki.Identity{authorityKey: s.Authority, nextKey: s.Next, servingKey: s.Serving} {
		if identity == nil {
			delete(secret.Data, name+certificateSuffix)
			delete(secret.Data, name+keySuffix)
			continue
		}
		secret.Data[name+certificateSuffix], secret.Data[name+keySuffix] = identity.Cert, identity.Key
	}
	bundle, err := s.BundlePEM()
	if err != nil {
		return err
	}
	secret.Data[bundleKey] = bundle
	return nil
}
