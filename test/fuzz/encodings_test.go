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

package fuzz

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
)

// Each target is one encoding, because the bytes of one say nothing in another; k8s.io/apiserver has a fourth, CBOR, switched off. Both groups read
// each input: what is a Job in one of them is an error in the other, which must be found out without harm too.

func FuzzJSON(f *testing.F) { fuzzEncoding(f, runtime.ContentTypeJSON) }

func FuzzYAML(f *testing.F) { fuzzEncoding(f, runtime.ContentTypeYAML) }

func FuzzProtobuf(f *testing.F) { fuzzEncoding(f, runtime.ContentTypeProtobuf) }

// fuzzEncoding takes each input that can be decoded through all that follows in the server.
func fuzzEncoding(f *testing.F, mediaType string) {
	encoding := encodingOf(mediaType)
	for _, seed := range seeds(f, encoding) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, g := range groups {
			lenient, err := g.decode(encoding.Serializer, data)
			strict, strictErr := g.decode(encoding.StrictSerializer, data)
			if err == nil && strictErr != nil && !runtime.IsStrictDecodingError(strictErr) {
				t.Fatalf("only the strict decoder of %s fails: %v", g.version, strictErr)
			}
			if err != nil {
				if strictErr == nil {
					t.Fatalf("only the lenient decoder of %s fails: %v", g.version, err)
				}
				continue
			}
			if strict != nil {
				expectEqual(t, "decoded strictly", lenient, strict)
			}
			g.checkDecoded(t, encoding, lenient)
			g.checkConverted(t, lenient)
			g.checkWrites(t, lenient)
		}
	})
}
