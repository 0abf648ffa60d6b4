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
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// serialBits is the length of a serial number: the most that RFC 5280 allows is 20 bytes.
const serialBits = 127

// errMismatch says that a certificate and a key don't belong together.
var errMismatch = errors.New("the key is not that of the certificate")

// KeyPair is a certificate and its key, in PEM.
type KeyPair struct {
	Cert, Key []byte
}

// Identity is a certificate and its key, as PEM and parsed.
type Identity struct {
	KeyPair
	Certificate *x509.Certificate

	signer crypto.Signer
}

// Parse reads a key pair. The certificate is the first of pair.Cert. An error says what can't be read, or that the two don't belong together.
func Parse(pair KeyPair) (*Identity, error) {
	certificates, err := cert.ParseCertsPEM(pair.Cert)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	key, err := keyutil.ParsePrivateKeyPEM(pair.Key)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("read key: it can't sign")
	}
	if !samePublicKey(certificates[0].PublicKey, signer.Public()) {
		return nil, errMismatch
	}
	return &Identity{KeyPair: pair, Certificate: certificates[0], signer: signer}, nil
}

func samePublicKey(a, b crypto.PublicKey) bool {
	equaler, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && equaler.Equal(b)
}

// NewAuthority makes a certificate authority that signs itself, good from shortly before now for the time of validity.
func NewAuthority(commonName string, now time.Time, validity time.Duration) (*Identity, error) {
	return sign(nil, now, validity, &x509.Certificate{
		Subject:               pkix.Name{CommonName: commonName},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	})
}

// NewServing makes a serving certificate for hosts, which are DNS names and IP addresses.
func (i *Identity) NewServing(commonName string, hosts []string, now time.Time, validity time.Duration) (*Identity, error) {
	return sign(i, now, validity, servingTemplate(commonName, hosts))
}

// Covers tells whether the certificate is good for all hosts.
func (i *Identity) Covers(hosts []string) bool {
	for _, host := range hosts {
		if i.Certificate.VerifyHostname(host) != nil {
			return false
		}
	}
	return true
}

// Made is when the certificate was made. It is good from a little earlier on.
func (i *Identity) Made() time.Time {
	return i.Certificate.NotBefore.Add(backdate)
}

// SignedBy tells whether ca signed the certificate.
func (i *Identity) SignedBy(ca *Identity) bool {
	return i.Certificate.CheckSignatureFrom(ca.Certificate) == nil
}

func servingTemplate(commonName string, hosts []string) *x509.Certificate {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: commonName},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return template
}

// sign makes a key and a certificate for it, signed by ca or, without one, by itself. Keys are ECDSA: an RSA key costs a good part of a
// second of the first start.
func sign(ca *Identity, now time.Time, validity time.Duration, template *x509.Certificate) (*Identity, error) {
	name := template.Subject.CommonName
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key of %s: %w", name, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, fmt.Errorf("make serial number of %s: %w", name, err)
	}
	template.SerialNumber = serial
	template.NotBefore = now.Add(-backdate)
	template.NotAfter = now.Add(validity)

	parent, signer := template, crypto.Signer(key)
	if ca != nil {
		parent, signer = ca.Certificate, ca.signer
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
		return nil, fmt.Errorf("encode key of %s: %w", name, err)
	}
	pair := KeyPair{Cert: pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: der}), Key: keyPEM}
	return &Identity{KeyPair: pair, Certificate: certificate, signer: key}, nil
}
