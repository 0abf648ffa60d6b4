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

package nodeagent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
)

// errNoTokens says that there never will be a token.
var errNoTokens = errors.New("serviceAccountToken: this API server has no service accounts and makes no tokens for them")

// tokenMaxAge is when a token is replaced at the latest, however long it is valid.
const tokenMaxAge = 24 * time.Hour

// tokenCache keeps the tokens of service accounts that volumes of Pods show, and has new ones made in time.
type tokenCache struct {
	kubeClient kubernetes.Interface
	clock      clock.Clock

	mu     sync.Mutex
	tokens map[types.UID]map[string]issuedToken // by Pod, then by audience and lifetime
}

type issuedToken struct {
	token            string
	renewAt, expires time.Time
}

func newTokenCache(kubeClient kubernetes.Interface, clock clock.Clock) *tokenCache {
	return &tokenCache{kubeClient: kubeClient, clock: clock, tokens: map[types.UID]map[string]issuedToken{}}
}

// forget drops the tokens of a Pod.
func (c *tokenCache) forget(podUID types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tokens, podUID)
}

// token returns a token for the Pod's service account, bound to the Pod. It is replaced once four fifths of its life are over, as with a kubelet; when
// that fails, the old one serves until it expires.
func (c *tokenCache) token(ctx context.Context, pod *corev1.Pod, projection *corev1.ServiceAccountTokenProjection) (string, error) {
	var lifetime int64
	if projection.ExpirationSeconds != nil {
		lifetime = *projection.ExpirationSeconds
	}
	key := fmt.Sprintf("%d %s", lifetime, projection.Audience)
	now := c.clock.Now()
	c.mu.Lock()
	known, ok := c.tokens[pod.UID][key]
	c.mu.Unlock()
	if ok && now.Before(known.renewAt) {
		return known.token, nil
	}
	fresh, err := c.request(ctx, pod, projection)
	switch {
	case err == nil:
	case ok && now.Before(known.expires):
		return known.token, nil
	case apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) && apierrors.IsNotFound(err):
		return "", errNoTokens // the path isn't served at all
	default:
		return "", fmt.Errorf("failed to fetch token: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens[pod.UID] == nil {
		c.tokens[pod.UID] = map[string]issuedToken{}
	}
	c.tokens[pod.UID][key] = fresh
	return fresh.token, nil
}

func (c *tokenCache) request(ctx context.Context, pod *corev1.Pod, projection *corev1.ServiceAccountTokenProjection) (issuedToken, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: projection.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if projection.Audience != "" {
		request.Spec.Audiences = []string{projection.Audience}
	}
	account := pod.Spec.ServiceAccountName
	if account == "" {
		account = "default"
	}
	issued, err := c.kubeClient.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
	if err != nil {
		return issuedToken{}, err
	}
	now, expires := c.clock.Now(), issued.Status.ExpirationTimestamp.Time
	life := expires.Sub(now)
	return issuedToken{token: issued.Status.Token, renewAt: now.Add(min(life*4/5, tokenMaxAge)), expires: expires}, nil
}
