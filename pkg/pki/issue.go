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

package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// serialBits is the length of a serial number: the most that RFC 5280 allows is 20 bytes.
const serialBits = 127

// issue makes a key and a certificate for it, signed by ca or, without one, by itself, and stores both. Keys are ECDSA: an RSA
// key costs a good part of a second of the first start.
func (f folder) issue(name string, ca *identity, template *x509.Certificate) (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key %s: %w", name, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, fmt.Errorf("make serial number of %s: %w", name, err)
	}
	template.SerialNumber = serial
	template.NotBefore = f.clock.Now().Add(-backdate)
	template.NotAfter = f.clock.Now().Add(validity)

	parent, signer := template, key
	if ca != nil {
		signerKey, ok := ca.key.(*ecdsa.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("sign %s: the authority's key is %T, want ECDSA", name, ca.key)
		}
		parent, signer = ca.cert, signerKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", name, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", name, err)
	}
	keyPEM, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return nil, fmt.Errorf("encode key %s: %w", name, err)
	}
	pair := KeyPair{Cert: pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: der}), Key: keyPEM}
	return &identity{pair: pair, cert: certificate, key: key}, f.store(name, pair)
}
