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

package doctor

import (
	"errors"
	"testing"
	"time"
)

// brokenCertificates have something wrong with the certificates.
var brokenCertificates = map[string]breakage{
	"no bundle": {
		func(_ *testing.T, f *Facts) { f.APIService.Value.Spec.CABundle = nil },
		map[string]verdict{"caBundle": {Bad, "no caBundle", "get secret -n jobserver-system jobserver-certificates"}, "certificate": {Bad, "unknown authority", "get secret"}},
	},
	"bundle is no PEM": {
		func(_ *testing.T, f *Facts) { f.APIService.Value.Spec.CABundle = []byte("junk") },
		map[string]verdict{"caBundle": {Bad, "is not PEM", ""}, "certificate": {Bad, "", ""}},
	},
	"everything ends tomorrow": {
		func(t *testing.T, f *Facts) {
			f.Handshake.Value, f.APIService.Value.Spec.CABundle = issue(t, "jobserver.jobserver-system.svc", now.Add(24*time.Hour))
		},
		map[string]verdict{"caBundle": {Bad, "ends in 24h", ""}, "certificate": {Bad, "ends in 24h", "rollout restart"}},
	},
	"certificate of another name": {
		func(t *testing.T, f *Facts) {
			f.Handshake.Value, f.APIService.Value.Spec.CABundle = issue(t, "other.svc", now.Add(90*24*time.Hour))
		},
		map[string]verdict{"certificate": {Bad, "not jobserver.jobserver-system.svc", "issued for jobserver.jobserver-system.svc"}},
	},
	"bundle of somebody else": {
		func(t *testing.T, f *Facts) {
			_, f.APIService.Value.Spec.CABundle = issue(t, "jobserver.jobserver-system.svc", now.Add(90*24*time.Hour))
		},
		map[string]verdict{"certificate": {Bad, "unknown authority", "get secret -n jobserver-system jobserver-certificates"}},
	},
	"bundle of somebody else, server out of sight": {
		func(t *testing.T, f *Facts) {
			_, f.APIService.Value.Spec.CABundle = issue(t, "jobserver.jobserver-system.svc", now.Add(90*24*time.Hour))
			f.Handshake.Err = errors.New("no route")
		},
		map[string]verdict{"caBundle": {Bad, "not what the server's certificates are checked by", "get secret"}, "certificate": {Unknown, "no route", ""}},
	},
	"bundle of whoever makes the files": {
		func(t *testing.T, f *Facts) {
			_, f.APIService.Value.Spec.CABundle = issue(t, "jobserver.jobserver-system.svc", now.Add(90*24*time.Hour))
			f.Handshake.Err, f.Workloads.Value[0].Args = errors.New("no route"), []string{"--tls-cert-file=/etc/tls.crt"}
		},
		map[string]verdict{"certificate": {Unknown, "no route", ""}},
	},
	"no bundle from whoever makes the files": {
		func(_ *testing.T, f *Facts) {
			f.APIService.Value.Spec.CABundle, f.Authorities.Value = nil, nil
			f.Workloads.Value[0].Args = []string{"--tls-cert-file=/etc/tls.crt"}
		},
		map[string]verdict{"caBundle": {Bad, "no caBundle", "cert-manager"}, "certificate": {Bad, "unknown authority", "--tls-cert-file"}},
	},
}
