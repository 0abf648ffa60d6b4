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
	"reflect"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/resource"
)

var quantityType = reflect.TypeFor[resource.Quantity]()

// A shape is what a walk needs to know of a Go type. The zero value stands for a type without quantities, below which there is nothing to see.
type shape struct {
	quantity bool
	// elem is the type of the elements of a list or of the values of a map.
	elem reflect.Type
	// isMap tells a map from a list.
	isMap bool
	// byName and byNumber are the fields of a struct that lead to quantities, by their names in JSON and their numbers in protobuf.
	byName   map[string]reflect.Type
	byNumber map[int32]member
}

// A member is a field of a struct in protobuf, which has no names on the wire.
type member struct {
	name string
	of   reflect.Type
}

// shapes has the shape of every type that was asked for, by reflect.Type.
var shapes sync.Map

// shapeOf returns the shape of a type or of what it points to. The types of an API are finite trees but for JSON schemas, which are not served.
func shapeOf(t reflect.Type) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if known, ok := shapes.Load(t); ok {
		return known.(*shape)
	}
	made := makeShape(t)
	shapes.Store(t, made)
	return made
}

func makeShape(t reflect.Type) *shape {
	made := &shape{}
	switch {
	case t == quantityType:
		made.quantity = true
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Map:
		if !shapeOf(t.Elem()).empty() {
			made.elem, made.isMap = t.Elem(), t.Kind() == reflect.Map
		}
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			made.addField(t.Field(i))
		}
	}
	return made
}

func (s *shape) empty() bool {
	return !s.quantity && s.elem == nil && len(s.byName) == 0
}

func (s *shape) addField(f reflect.StructField) {
	if !f.IsExported() {
		return
	}
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	of := shapeOf(f.Type)
	switch {
	case name == "-" || of.empty():
		return
	case name == "" && f.Anonymous:
		// Its fields are this struct's own in JSON.
		for name, t := range of.byName {
			s.setName(name, t)
		}
	case name == "":
		name = f.Name
	}
	if name != "" {
		s.setName(name, f.Type)
	}
	// As in `protobuf:"bytes,3,opt,name=spec"`.
	if parts := strings.Split(f.Tag.Get("protobuf"), ","); len(parts) > 1 {
		if number, err := strconv.ParseInt(parts[1], 10, 32); err == nil {
			if s.byNumber == nil {
				s.byNumber = map[int32]member{}
			}
			s.byNumber[int32(number)] = member{name: name, of: f.Type}
		}
	}
}

func (s *shape) setName(name string, t reflect.Type) {
	if s.byName == nil {
		s.byName = map[string]reflect.Type{}
	}
	s.byName[name] = t
}
