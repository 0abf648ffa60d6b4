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

package leaderelection

import "net/http"

// Fence returns a handler that hands requests to next, but those that were sent in a term of leading only while that term lasts: after it,
// refuse answers them, with ErrDeposed. What next is doing then is told by its context.
//
// It belongs in front of what writes, in the process that leads. Term.Wrap alone lets through what was sent before a process was frozen and is
// read after it was woken: another replica may have led for a while then.
func (e *Elector) Fence(next http.Handler, refuse func(w http.ResponseWriter, request *http.Request, err error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		name := request.Header.Get(TermHeader)
		if name == "" {
			next.ServeHTTP(w, request)
			return
		}
		term := e.term.Load()
		if term == nil || term.name != name || !term.Valid() {
			refuse(w, request, ErrDeposed)
			return
		}
		ctx, done := term.during(request.Context())
		defer done()
		next.ServeHTTP(w, request.WithContext(ctx))
	})
}
