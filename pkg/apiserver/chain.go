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

package apiserver

import (
	"net/http"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericfilters "k8s.io/apiserver/pkg/server/filters"

	"github.com/jobserver-dev/jobserver/pkg/apiserver/inprocess"
)

// self is who this process' own clients are: the same that a generic API server takes them for by their token.
var self = &user.DefaultInfo{Name: user.APIServerUser, Groups: []string{user.AllAuthenticated, user.SystemPrivilegedGroup}}

// buildHandlerChain puts what every request passes in front of the API: upstream's filters for requests from outside, a few of them for those of this
// process.
func buildHandlerChain(api http.Handler, c *genericapiserver.Config) http.Handler {
	outside, own := genericapiserver.DefaultBuildHandlerChain(api, c), buildOwnChain(api, c)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if inprocess.Received(r) {
			own.ServeHTTP(w, r)
			return
		}
		outside.ServeHTTP(w, r)
	})
}

// buildOwnChain leaves out the filters that change nothing for a client of this process. It is known without a token, may do everything, is exempt from limits and
// priorities, impersonates nobody, and is no browser. It needs no goroutine that answers in the handler's place after the time-out: handlers heed the deadline of
// their context. Audit, admission, which is a part of the handlers, and the log of requests are the same.
func buildOwnChain(api http.Handler, c *genericapiserver.Config) http.Handler {
	handler := filters.WithAudit(api, c.AuditBackend, c.AuditPolicyRuleEvaluator, c.LongRunningFunc)
	handler = withSelf(handler)
	handler = filters.WithRequestDeadline(handler, c.AuditBackend, c.AuditPolicyRuleEvaluator, c.LongRunningFunc, c.Serializer, c.RequestTimeout)
	handler = genericfilters.WithWaitGroup(handler, c.LongRunningFunc, c.NonLongRunningRequestWaitGroup)
	handler = genericfilters.WithHTTPLogging(handler)
	handler = filters.WithLatencyTrackers(handler)
	handler = filters.WithRequestInfo(handler, c.RequestInfoResolver)
	handler = filters.WithRequestReceivedTimestamp(handler)
	handler = genericfilters.WithPanicRecovery(handler, c.RequestInfoResolver)
	return filters.WithAuditInit(handler)
}

// withSelf says who sends the request. As upstream does, it takes the token off.
func withSelf(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(request.WithUser(r.Context(), self))
		r.Header.Del("Authorization")
		handler.ServeHTTP(w, r)
	})
}
