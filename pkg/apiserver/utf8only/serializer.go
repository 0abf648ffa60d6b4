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
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// protobufPrefix begins every object in protobuf.
var protobufPrefix = []byte("k8s\x00")

// Serializer returns serializers that refuse objects in protobuf with strings that are not UTF-8.
func Serializer(serializers runtime.NegotiatedSerializer) runtime.NegotiatedSerializer {
	return guardedSerializers{serializers}
}

type guardedSerializers struct {
	runtime.NegotiatedSerializer
}

// DecoderToVersion returns the decoder of serializer to a version, behind the guard.
func (s guardedSerializers) DecoderToVersion(serializer runtime.Decoder, gv runtime.GroupVersioner) runtime.Decoder {
	return s.NegotiatedSerializer.DecoderToVersion(guardedDecoder{serializer}, gv)
}

type guardedDecoder struct {
	runtime.Decoder
}

// Decode decodes data and looks at what it has become.
func (d guardedDecoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	object, kind, err := d.Decoder.Decode(data, defaults, into)
	if err != nil || !bytes.HasPrefix(data, protobufPrefix) {
		return object, kind, err
	}
	if path, found := invalid(reflect.ValueOf(object)); found {
		return nil, kind, fmt.Errorf("%s is not UTF-8", strings.TrimPrefix(path, "."))
	}
	return object, kind, nil
}

// invalid returns the path of a string below value that is not UTF-8, as its fields are named in JSON. Bytes are none of its business.
func invalid(value reflect.Value) (path string, found bool) {
	switch value.Kind() {
	case reflect.String:
		return "", !utf8.ValidString(value.String())
	case reflect.Pointer:
		if !value.IsNil() {
			return invalid(value.Elem())
		}
	case reflect.Struct:
		for i := range value.NumField() {
			if path, found := invalid(value.Field(i)); found {
				return nameOf(value.Type().Field(i)) + path, true
			}
		}
	case reflect.Slice:
		for i := range value.Len() {
			if value.Type().Elem().Kind() == reflect.Uint8 {
				break
			}
			if path, found := invalid(value.Index(i)); found {
				return fmt.Sprintf("[%d]%s", i, path), true
			}
		}
	case reflect.Map:
		for entries := value.MapRange(); entries.Next(); {
			for _, part := range []reflect.Value{entries.Key(), entries.Value()} {
				if path, found := invalid(part); found {
					return fmt.Sprintf("[%q]%s", entries.Key(), path), true
				}
			}
		}
	}
	return "", false
}

// nameOf returns what a field adds to a path: nothing where its fields are those of its parent in JSON.
func nameOf(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	if name == "" {
		return ""
	}
	return "." + name
}
