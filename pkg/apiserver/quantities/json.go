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

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// A jsonWalk goes through a document token by token, along a type. It sees what a decoder would: strings without their escapes, and each value of a
// key that is there twice. It keeps nothing.
type jsonWalk struct {
	tokens *json.Decoder
	errs   field.ErrorList
}

// walkJSON returns an error for each quantity out of bounds in data, which is to be decoded into t. It ends silently where data is no JSON.
func walkJSON(data []byte, t reflect.Type) field.ErrorList {
	walk := jsonWalk{tokens: json.NewDecoder(bytes.NewReader(data))}
	walk.tokens.UseNumber()
	_ = walk.value(shapeOf(t), nil)
	return walk.errs
}

// value goes through the next value, whatever it is. Its errors are those of the syntax.
func (w *jsonWalk) value(s *shape, path *field.Path) error {
	token, err := w.tokens.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case json.Delim:
		switch {
		case s.empty() || s.quantity:
			return w.skip()
		case token == '[':
			return w.list(s, path)
		default:
			return w.object(s, path)
		}
	case string:
		w.scalar(s, path, token)
	case json.Number:
		w.scalar(s, path, token.String())
	}
	return nil
}

func (w *jsonWalk) scalar(s *shape, path *field.Path, text string) {
	if !s.quantity {
		return
	}
	if err := check(path, text); err != nil {
		w.errs = append(w.errs, err)
	}
}

// list goes through the rest of a list. Where the type has none there, its elements are skipped.
func (w *jsonWalk) list(s *shape, path *field.Path) error {
	if s.elem == nil || s.isMap {
		return w.skip()
	}
	for i := 0; w.tokens.More(); i++ {
		if err := w.value(shapeOf(s.elem), path.Index(i)); err != nil {
			return err
		}
	}
	_, err := w.tokens.Token()
	return err
}

// object goes through the rest of an object: a map or a struct.
func (w *jsonWalk) object(s *shape, path *field.Path) error {
	for w.tokens.More() {
		token, err := w.tokens.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		below, at := &shape{}, path
		if s.isMap {
			below, at = shapeOf(s.elem), path.Key(key)
		} else if of, ok := s.byName[key]; ok {
			below, at = shapeOf(of), path.Child(key)
		}
		if err := w.value(below, at); err != nil {
			return err
		}
	}
	_, err := w.tokens.Token()
	return err
}

// skip goes to the end of the list or object that has just begun, without recursion: nobody bounds the depth of what has no type.
func (w *jsonWalk) skip() error {
	for depth := 1; depth > 0; {
		token, err := w.tokens.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
	}
	return nil
}
