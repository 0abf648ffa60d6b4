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
	"encoding/json"
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

// protobufPrefix begins every object in protobuf; a runtime.Unknown follows.
var protobufPrefix = []byte("k8s\x00")

// Serializer returns serializers that refuse quantities out of bounds before they decode. The types of objects are scheme's.
func Serializer(serializers runtime.NegotiatedSerializer, scheme *runtime.Scheme) runtime.NegotiatedSerializer {
	return guardedSerializers{NegotiatedSerializer: serializers, scheme: scheme}
}

type guardedSerializers struct {
	runtime.NegotiatedSerializer
	scheme *runtime.Scheme
}

// DecoderToVersion returns the decoder of serializer to a version, behind the guard.
func (s guardedSerializers) DecoderToVersion(serializer runtime.Decoder, gv runtime.GroupVersioner) runtime.Decoder {
	return s.NegotiatedSerializer.DecoderToVersion(guardedDecoder{Decoder: serializer, scheme: s.scheme}, gv)
}

type guardedDecoder struct {
	runtime.Decoder
	scheme *runtime.Scheme
}

// Decode decodes data, whose kind is defaults' where it doesn't say, unless it has a quantity out of bounds.
func (d guardedDecoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	found := object{data: data, scheme: d.scheme, defaults: defaults, into: into}
	if kind, errs := found.inspect(); len(errs) > 0 {
		return nil, kind, errs.ToAggregate()
	}
	return d.Decoder.Decode(data, defaults, into)
}

// An object is data that is to be decoded, with all that decides into which type.
type object struct {
	data     []byte
	scheme   *runtime.Scheme
	defaults *schema.GroupVersionKind
	into     runtime.Object
}

// inspect returns the kind of the object and its quantities out of bounds. Data that can't be read has none; the decoder says what is wrong.
func (o object) inspect() (*schema.GroupVersionKind, field.ErrorList) {
	if raw, isProtobuf := bytes.CutPrefix(o.data, protobufPrefix); isProtobuf {
		var unknown runtime.Unknown
		if !mayExceed(raw) || unknown.Unmarshal(raw) != nil {
			return nil, nil
		}
		kind := schema.FromAPIVersionAndKind(unknown.APIVersion, unknown.Kind)
		return o.inspectAs(kind, func(t reflect.Type) field.ErrorList { return walkProtobuf(unknown.Raw, t) })
	}
	text := suspect(o.data)
	if text == nil {
		return nil, nil
	}
	kind, err := jsonserializer.DefaultMetaFactory.Interpret(text)
	if err != nil {
		return nil, nil
	}
	return o.inspectAs(*kind, func(t reflect.Type) field.ErrorList { return walkJSON(text, t) })
}

// inspectAs walks along the type that a decoder would take: of the kind that the data names, with what it leaves out taken from the defaults, then
// from the object that is decoded into.
func (o object) inspectAs(kind schema.GroupVersionKind, walk func(reflect.Type) field.ErrorList) (*schema.GroupVersionKind, field.ErrorList) {
	if o.defaults != nil {
		kind = withDefaults(kind, *o.defaults)
	}
	if o.into != nil {
		if kinds, _, err := o.scheme.ObjectKinds(o.into); err == nil {
			kind = withDefaults(kind, kinds[0])
		}
	}
	t, known := o.scheme.AllKnownTypes()[kind]
	if !known {
		return nil, nil
	}
	return &kind, walk(t)
}

func withDefaults(kind, defaults schema.GroupVersionKind) schema.GroupVersionKind {
	if kind.Kind == "" {
		kind.Kind = defaults.Kind
	}
	if kind.Version == "" && (kind.Group == "" || kind.Group == defaults.Group) {
		kind.Group, kind.Version = defaults.Group, defaults.Version
	}
	return kind
}

// suspect returns text, JSON or YAML, as JSON where it may have a quantity out of bounds in it, and nil otherwise.
func suspect(text []byte) []byte {
	if !mayExceed(text) && !mayHide(text) {
		return nil
	}
	if trimmed := bytes.TrimLeft(text, " \t\r\n"); bytes.HasPrefix(trimmed, []byte("{")) && json.Valid(text) {
		return text
	}
	// Aliases of YAML are followed here as the serializer follows them, with its bounds.
	converted, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil
	}
	return converted
}
