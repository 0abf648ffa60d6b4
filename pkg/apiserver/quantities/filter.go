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

package quantities

import (
	"bytes"
	"io"
	"net/http"
	"reflect"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// Filter refuses strategic merge patches and apply configurations with quantities out of bounds. They have the form of the object and are merged with
// it without a decoder. The other patches are: their result goes through a decoder of Serializer.
//
// maxBytes is the server's bound for a body, which the handler reports. The filter needs the request's info in its context. Errors are
// written by serializers.
func Filter(handler http.Handler, scheme *runtime.Scheme, serializers runtime.NegotiatedSerializer, maxBytes int64) http.Handler {
	kinds := kindsByResource(scheme)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		info, ok := request.RequestInfoFrom(req.Context())
		if !ok || !info.IsResourceRequest || !mergesWithoutDecoder(req) {
			handler.ServeHTTP(w, req)
			return
		}
		gv := schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}
		kind, known := kinds[gv.WithResource(info.Resource)]
		if !known {
			handler.ServeHTTP(w, req)
			return
		}
		body := &readAhead{rest: req.Body}
		if text := suspect(body.read(maxBytes)); text != nil {
			if errs := walkJSON(text, kind.of); len(errs) > 0 {
				responsewriters.ErrorNegotiated(apierrors.NewInvalid(kind.named.GroupKind(), info.Name, errs), serializers, gv, w, req)
				return
			}
		}
		req.Body = body
		handler.ServeHTTP(w, req)
	})
}

func mergesWithoutDecoder(req *http.Request) bool {
	if req.Method != http.MethodPatch || req.Body == nil {
		return false
	}
	// As the handler of patches reads it, so that no spelling passes by here and is understood there.
	contentType, _, _ := strings.Cut(req.Header.Get("Content-Type"), ";")
	return contentType == string(types.StrategicMergePatchType) || contentType == string(types.ApplyYAMLPatchType)
}

type kind struct {
	named schema.GroupVersionKind
	of    reflect.Type
}

// kindsByResource returns the kinds that have quantities, by the names of their resources.
func kindsByResource(scheme *runtime.Scheme) map[schema.GroupVersionResource]kind {
	kinds := map[schema.GroupVersionResource]kind{}
	for gvk, t := range scheme.AllKnownTypes() {
		if gvk.Version == runtime.APIVersionInternal || shapeOf(t).empty() {
			continue
		}
		resource, _ := meta.UnsafeGuessKindToResource(gvk)
		kinds[resource] = kind{named: gvk, of: t}
	}
	return kinds
}

// A readAhead is a body whose beginning has been read and is read again.
type readAhead struct {
	again bytes.Reader
	rest  io.ReadCloser
}

// read returns the body as far as it can be read, and to one byte more than limit at most. Whoever reads the body afterwards meets the same end of it.
func (b *readAhead) read(limit int64) []byte {
	data, _ := io.ReadAll(io.LimitReader(b.rest, limit+1))
	b.again.Reset(data)
	return data
}

// Read reads the body from its beginning.
func (b *readAhead) Read(p []byte) (int, error) {
	if b.again.Len() > 0 {
		return b.again.Read(p)
	}
	return b.rest.Read(p)
}

// Close closes the body.
func (b *readAhead) Close() error {
	return b.rest.Close()
}
