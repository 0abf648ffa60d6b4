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

// Package certificates makes the serving certificate of a server that a cluster reaches through an APIService, keeps it in a Secret that
// the replicas share, and changes it and its authority long before they end, in steps that leave no moment in which a caller has
// to trust what it does not know yet.
package certificates

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"fmt"
	"time"

	certutil "k8s.io/client-go/util/cert"

	"github.com/jobserver-dev/jobserver/pkg/pki"
)

// Defaults for the fields of Policy that are zero.
const (
	DefaultAuthorityValidity = 2 * 365 * 24 * time.Hour
	DefaultServingValidity   = 90 * 24 * time.Hour
	DefaultOverlap           = time.Hour
)

// commonName is that of the authority; the time of its making follows, which tells two apart for who looks at them.
const commonName = "jobserver-serving-ca"

// Policy says for how long certificates are good, and for what.
type Policy struct {
	// Hosts are the DNS names and IP addresses that the serving certificate covers.
	Hosts []string
	// AuthorityValidity and ServingValidity are how long certificates are good. They are replaced when a third of it is left.
	AuthorityValidity, ServingValidity time.Duration
	// Overlap is how long a new authority is published before anything that it signed is served.
	Overlap time.Duration
}

// WithDefaults returns the policy with the defaults in place of zeros.
func (p Policy) WithDefaults() Policy {
	p.AuthorityValidity = cmp.Or(p.AuthorityValidity, DefaultAuthorityValidity)
	p.ServingValidity = cmp.Or(p.ServingValidity, DefaultServingValidity)
	// A short life has a short overlap: it must be over before the end.
	p.Overlap = cmp.Or(p.Overlap, min(DefaultOverlap, p.AuthorityValidity/10))
	return p
}

// State is all that the replicas share.
type State struct {
	// Authority signs serving certificates. Next is the one that will: it is published, and not used yet. Nil: there is none.
	Authority, Next *pki.Identity
	// Serving is what is served, signed by Authority.
	Serving *pki.Identity
	// Bundle is what callers have to trust: Authority, Next, and earlier ones that something in use may be signed by.
	Bundle []*x509.Certificate
}

// Advance returns the state that follows from s at a time, s itself where nothing is due. It is one step of a change that takes several:
//
//  1. when a third of the authority's life is left, the next authority is made and published;
//  2. after the overlap, if published says that callers have it, the next authority takes over and signs the serving certificate;
//  3. the earlier authority leaves the bundle when it ends: until then a replica may serve what it signed.
//
// A serving certificate is made anew by the present authority when a third of its life is left, or when it does not cover all hosts.
func (s State) Advance(policy Policy, now time.Time, published bool) (State, error) {
	var err error
	s.Bundle = unexpired(s.Bundle, now)
	switch {
	case !good(s.Authority, now):
		// Nothing that callers trust can be kept up: begin anew, with what was prepared if that is good.
		if s.Authority = s.Next; !good(s.Authority, now) {
			if s.Authority, err = newAuthority(policy, now); err != nil {
				return State{}, err
			}
		}
		s.Next = nil
	case s.Next == nil && due(s.Authority, now):
		if s.Next, err = newAuthority(policy, now); err != nil {
			return State{}, err
		}
	case s.Next != nil && published && now.Sub(s.Next.Made()) >= policy.Overlap:
		s.Authority, s.Next = s.Next, nil
	}
	s.Bundle = with(s.Bundle, s.Authority)
	s.Bundle = with(s.Bundle, s.Next)
	if s.Serving == nil || !s.Serving.SignedBy(s.Authority) || !s.Serving.Covers(policy.Hosts) || due(s.Serving, now) {
		// Not longer than the authority: nothing is good for longer than what signed it.
		validity := min(policy.ServingValidity, s.Authority.Certificate.NotAfter.Sub(now))
		if s.Serving, err = s.Authority.NewServing("jobserver", policy.Hosts, now, validity); err != nil {
			return State{}, err
		}
	}
	return s, nil
}

// good tells whether there is an authority that has not ended.
func good(authority *pki.Identity, now time.Time) bool {
	return authority != nil && now.Before(authority.Certificate.NotAfter)
}

// due tells whether a third or less of a certificate's life is left.
func due(identity *pki.Identity, now time.Time) bool {
	end := identity.Certificate.NotAfter
	return end.Sub(now) <= end.Sub(identity.Made())/3
}

func newAuthority(policy Policy, now time.Time) (*pki.Identity, error) {
	return pki.NewAuthority(fmt.Sprintf("%s@%d", commonName, now.Unix()), now, policy.AuthorityValidity)
}

func unexpired(bundle []*x509.Certificate, now time.Time) []*x509.Certificate {
	var kept []*x509.Certificate
	for _, certificate := range bundle {
		if now.Before(certificate.NotAfter) {
			kept = append(kept, certificate)
		}
	}
	return kept
}

// with returns the bundle with the authority in it.
func with(bundle []*x509.Certificate, authority *pki.Identity) []*x509.Certificate {
	if authority == nil {
		return bundle
	}
	for _, certificate := range bundle {
		if certificate.Equal(authority.Certificate) {
			return bundle
		}
	}
	return append(bundle, authority.Certificate)
}

// BundlePEM is the bundle as an APIService has it.
func (s State) BundlePEM() ([]byte, error) {
	encoded, err := certutil.EncodeCertificates(s.Bundle...)
	if err != nil {
		return nil, fmt.Errorf("encode the CA bundle: %w", err)
	}
	return bytes.TrimSpace(encoded), nil
}
