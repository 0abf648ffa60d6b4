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
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestConfigMapImmutable(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	cm, err := s.ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "a"}, Data: map[string]string{"k": "v"}, Immutable: new(true),
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cm.Data["k"] = "w"
	_, err = s.ConfigMaps("default").Update(t.Context(), cm, metav1.UpdateOptions{})
	wantError(t, err, apierrors.IsInvalid, "data: Forbidden: field is immutable when `immutable` is set")

	_, err = s.ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "b"}, Data: map[string]string{"a/b": ""},
	}, metav1.CreateOptions{})
	wantError(t, err, apierrors.IsInvalid, "data[a/b]: Invalid value")
}

func TestSecret(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	secret, err := s.Secrets("default").Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "a"},
		Data:       map[string][]byte{"k": []byte("old"), "l": []byte("kept")},
		StringData: map[string]string{"k": "new"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]byte{"k": []byte("new"), "l": []byte("kept")}, secret.Data); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	if secret.Type != corev1.SecretTypeOpaque || secret.StringData != nil {
		t.Errorf("type %s, stringData %v", secret.Type, secret.StringData)
	}

	secret.Type = "example.com/other"
	_, err = s.Secrets("default").Update(t.Context(), secret, metav1.UpdateOptions{})
	wantError(t, err, apierrors.IsInvalid, "type: Invalid value")
	_, err = s.Secrets("default").Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "b"}, Type: corev1.SecretTypeTLS,
	}, metav1.CreateOptions{})
	wantError(t, err, apierrors.IsInvalid, "data[tls.crt]: Required value")

	list, err := s.Secrets("default").List(t.Context(), metav1.ListOptions{FieldSelector: "type=Opaque"})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("%d secrets of type Opaque, %v", len(list.Items), err)
	}
}
