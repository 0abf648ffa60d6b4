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

package kubelet

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/authorization/union"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

// AuthConfig says who may call the API.
type AuthConfig struct {
	// NodeName is the resource that callers need rights on.
	NodeName string
	// ClientCA signs the certificates of callers. Nil: certificates prove nothing.
	ClientCA dynamiccertificates.CAContentProvider
	// Client asks the API server of the cluster whose a token is and who may do what. It needs the right to create TokenReviews
	// and SubjectAccessReviews, which system:node has.
	Client kubernetes.Interface
	// ReviewTokens lets callers prove themselves by a token that the API server knows.
	ReviewTokens bool
	// AllowAll lets whoever proved itself do everything. Else the API server decides, except about administrators (system:masters).
	AllowAll bool
}

// A kubelet's defaults.
const (
	tokenCacheTTL  = 2 * time.Minute
	allowCacheTTL  = 5 * time.Minute
	denyCacheTTL   = 30 * time.Second
	reviewTimeout  = 10 * time.Second
	reviewAttempts = 5
)

// Auth lets requests pass to a handler whose senders are known and allowed to.
type Auth struct {
	nodeName      string
	authenticator authenticator.Request
	authorizer    authorizer.Authorizer
}

// NewAuth returns what the config describes.
func NewAuth(config AuthConfig) (*Auth, error) {
	backoff := &wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: reviewAttempts}
	authentication := authenticatorfactory.DelegatingAuthenticatorConfig{
		ClientCertificateCAContentProvider: config.ClientCA,
		CacheTTL:                           tokenCacheTTL,
		TokenAccessReviewTimeout:           reviewTimeout,
		WebhookRetryBackoff:                backoff,
	}
	if config.ReviewTokens {
		authentication.TokenAccessReviewClient = config.Client.AuthenticationV1()
	}
	auth := &Auth{nodeName: config.NodeName}
	var err error
	if auth.authenticator, _, err = authentication.New(); err != nil {
		return nil, fmt.Errorf("authenticate callers of the kubelet's API: %w", err)
	}
	if config.AllowAll {
		auth.authorizer = authorizerfactory.NewAlwaysAllowAuthorizer()
		return auth, nil
	}
	reviews, err := authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: config.Client.AuthorizationV1(),
		AllowCacheTTL:             allowCacheTTL,
		DenyCacheTTL:              denyCacheTTL,
		WebhookRetryBackoff:       backoff,
	}.New()
	if err != nil {
		return nil, fmt.Errorf("authorize callers of the kubelet's API: %w", err)
	}
	auth.authorizer, err = union.New(
		union.NamedAuthorizer{AuthorizerName: "privileged-groups", Authorizer: authorizerfactory.NewPrivilegedGroups(user.SystemPrivilegedGroup)},
		union.NamedAuthorizer{AuthorizerName: "api-server", Authorizer: reviews},
	)
	if err != nil {
		return nil, fmt.Errorf("authorize callers of the kubelet's API: %w", err)
	}
	return auth, nil
}

// Handler returns handler behind the checks. The answers are a kubelet's.
func (a *Auth) Handler(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		logger := klog.FromContext(request.Context())
		response, ok, err := a.authenticator.AuthenticateRequest(request)
		if err != nil {
			logger.V(2).Info("Could not authenticate a caller of the kubelet's API", "reason", err.Error())
		}
		if err != nil || !ok {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		subresources := subresources(request.URL.Path)
		for _, subresource := range subresources {
			decision, _, err := a.authorizer.Authorize(request.Context(), a.attributes(response.User, request, subresource))
			if err != nil {
				logger.Error(err, "Could not authorize a caller of the kubelet's API", "user", response.User.GetName(), "subresource", subresource)
				http.Error(w, fmt.Sprintf("Authorization error (user=%s, verb=%s, resource=nodes, subresource=%s)",
					response.User.GetName(), verb(request.Method), subresource), http.StatusInternalServerError)
				return
			}
			if decision == authorizer.DecisionAllow {
				handler.ServeHTTP(w, request)
				return
			}
		}
		http.Error(w, fmt.Sprintf("Forbidden (user=%s, verb=%s, resource=nodes, subresource(s)=%v)",
			response.User.GetName(), verb(request.Method), subresources), http.StatusForbidden)
	})
}

// attributes are what a request does, in terms of the API: something to a subresource of this Node.
func (a *Auth) attributes(caller user.Info, request *http.Request, subresource string) authorizer.Attributes {
	return authorizer.AttributesRecord{
		User: caller, Verb: verb(request.Method), APIVersion: "v1", Resource: "nodes", Subresource: subresource, Name: a.nodeName,
		ResourceRequest: true, Path: request.URL.Path,
	}
}

// subresources are those of a Node to one of which a caller needs rights, by the path of its request. See
// https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/.
func subresources(path string) []string {
	switch first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/"); first {
	case "pods", "healthz":
		return []string{first, "proxy"}
	case "metrics":
		return []string{first}
	default:
		return []string{"proxy"}
	}
}

// verb is the API's verb for a method of HTTP.
func verb(method string) string {
	switch method {
	case http.MethodPost:
		return "create"
	case http.MethodGet:
		return "get"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		return "delete"
	default:
		return ""
	}
}
