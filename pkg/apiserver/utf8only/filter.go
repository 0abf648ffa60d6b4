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

package utf8only

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Filter has every body in JSON, patches too, end with a BadRequest where it stops being UTF-8. Whoever reads the body answers with that.
func Filter(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Body != nil && isJSON(req) {
			req.Body = &body{ReadCloser: req.Body}
		}
		handler.ServeHTTP(w, req)
	})
}

// isJSON reports whether a request has a body in JSON: it says so, or says nothing.
func isJSON(req *http.Request) bool {
	contentType := req.Header.Get("Content-Type")
	if contentType == "" {
		return req.Header.Get("Upgrade") == ""
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && (mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"))
}

// A body is passed on as long as it is UTF-8.
type body struct {
	io.ReadCloser
	read  int64  // how many bytes were found to be UTF-8
	begun []byte // the first bytes of a character that the last read cut
	err   error
}

// Read reads the next bytes, including any that are not UTF-8; it is followed by an error then.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p)
	b.check(p[:n], err == io.EOF)
	if b.err != nil {
		return 0, b.err
	}
	return n, err
}

// check looks at the next bytes of the body, which may be its last.
func (b *body) check(next []byte, last bool) {
	for len(b.begun) > 0 && len(next) > 0 && !utf8.FullRune(b.begun) {
		b.begun, next = append(b.begun, next[0]), next[1:]
	}
	for _, part := range [][]byte{b.begun, next} {
		whole := len(part)
		if !last {
			whole -= cut(part)
		}
		if !utf8.Valid(part[:whole]) {
			b.err = apierrors.NewBadRequest(fmt.Sprintf("the body is not UTF-8: the character at byte %d", b.read+int64(validPrefix(part[:whole]))))
			return
		}
		b.read += int64(whole)
		b.begun = append([]byte(nil), part[whole:]...)
		if len(b.begun) > 0 && len(next) == 0 {
			return
		}
	}
}

// cut returns how many bytes at the end of part begin a character that goes on.
func cut(part []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(part); n++ {
		if end := part[len(part)-n:]; utf8.RuneStart(end[0]) {
			if utf8.FullRune(end) {
				return 0
			}
			return n
		}
	}
	return 0
}

// validPrefix returns how many bytes at the beginning of part are UTF-8.
func validPrefix(part []byte) int {
	n := 0
	for n < len(part) {
		r, size := utf8.DecodeRune(part[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}
