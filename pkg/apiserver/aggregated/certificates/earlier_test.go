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
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	certutil "k8s.io/client-go/util/cert"
	clocktesting "k8s.io/utils/clock/testing"
)

var recordAs = flag.String("record-as", "", "version of this server: writes the Secret of one in the midst of a change to testdata")

// TestRecord: what this version writes is good for the test of later ones, and is recorded for it where the flag says so.
func TestRecord(t *testing.T) {
	t.Parallel()
	state := advance(t, State{}, policy, start, true)
	state = advance(t, state, policy, start.Add(DefaultAuthorityValidity*3/4), true)
	secret := &corev1.Secret{}
	if err := state.toSecret(secret); err != nil {
		t.Fatal(err)
	}
	checkServedOn(t, secret.Data)
	if *recordAs == "" {
		return
	}
	content, err := json.MarshalIndent(secret.Data, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(filepath.Join("testdata", *recordAs+".json"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(append(content, '\n'))
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestSecretOfEarlierVersions: what an earlier version has left in the Secret, an authority that is to follow among it, is served on and not made anew.
func TestSecretOfEarlierVersions(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var data map[string][]byte
			if err := json.Unmarshal(content, &data); err != nil {
				t.Fatal(err)
			}
			checkServedOn(t, data)
		})
	}
}

// checkServedOn starts on a Secret of these data, and looks whether its certificate is served and nothing in it changed.
func checkServedOn(t *testing.T, data map[string][]byte) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "jobserver-system", Name: "jobserver-certificates"}, Type: corev1.SecretTypeTLS, Data: data}
	served, err := certutil.ParseCertsPEM(secret.Data["tls.crt"])
	if err != nil {
		t.Fatal(err)
	}
	cluster, now := fake.NewClientset(secret), served[0].NotBefore.Add(time.Hour)
	k := keeper(t, cluster, clocktesting.NewFakePassiveClock(now), policy, func([]byte) bool { return false })
	if err := k.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if certificate := verify(t, k, k.Bundle(), now); !certificate.Equal(served[0]) {
		t.Error("another certificate is served")
	}
	kept, err := cluster.CoreV1().Secrets("jobserver-system").Get(t.Context(), "jobserver-certificates", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range slices.Sorted(maps.Keys(secret.Data)) {
		if string(kept.Data[key]) != string(secret.Data[key]) {
			t.Errorf("%s was changed", key)
		}
	}
}

// TestUnreadableSecret: what can't be read, written by a later version, say, is left alone, and the error says where it stands.
func TestUnreadableSecret(t *testing.T) {
	t.Parallel()
	for key, message := range map[string]string{
		"ca.crt":        "keys ca.crt and ca.key of Secret jobserver-system/jobserver-certificates",
		"tls.key":       "keys tls.crt and tls.key of Secret jobserver-system/jobserver-certificates",
		"ca-bundle.crt": "key ca-bundle.crt of Secret jobserver-system/jobserver-certificates",
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			secret := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: "jobserver-system", Name: "jobserver-certificates"}, Data: map[string][]byte{key: []byte("sealed")},
			}
			cluster := fake.NewClientset(secret)
			k := keeper(t, cluster, clocktesting.NewFakePassiveClock(start), policy, nil)
			if err := k.Check(t.Context()); err == nil || !strings.Contains(err.Error(), message) {
				t.Errorf("got %v, want %q", err, message)
			}
			for _, action := range cluster.Actions() {
				if action.GetVerb() != "get" {
					t.Errorf("the Secret was changed: %s", action.GetVerb())
				}
			}
		})
	}
}
