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

	"google.golang.org/protobuf/encoding/protowire"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Field numbers of the messages that every API has.
const (
	quantityText protowire.Number = 1 // of a Quantity
	mapKey       protowire.Number = 1 // of the messages that are the entries of a map
	mapValue     protowire.Number = 2
)

// walkProtobuf returns an error for each quantity out of bounds in a message, which is to be decoded into t. It ends silently where data is no message.
func walkProtobuf(data []byte, t reflect.Type) field.ErrorList {
	var errs field.ErrorList
	walkMessage(data, shapeOf(t), nil, &errs)
	return errs
}

func walkMessage(data []byte, s *shape, path *field.Path, errs *field.ErrorList) {
	if s.quantity {
		eachField(data, func(number protowire.Number, value []byte) {
			if number != quantityText {
				return
			}
			if err := check(path, string(value)); err != nil {
				*errs = append(*errs, err)
			}
		})
		return
	}
	counts := map[int32]int{} // of the elements of each list so far
	eachField(data, func(number protowire.Number, value []byte) {
		below, ok := s.byNumber[int32(number)]
		if !ok {
			return
		}
		of, at := shapeOf(below.of), path
		if below.name != "" {
			at = path.Child(below.name)
		}
		switch {
		case of.isMap:
			key, value := mapEntry(value)
			walkMessage(value, shapeOf(of.elem), at.Key(key), errs)
		case of.elem != nil:
			walkMessage(value, shapeOf(of.elem), at.Index(counts[int32(number)]), errs)
			counts[int32(number)]++
		default:
			walkMessage(value, of, at, errs)
		}
	})
}

// mapEntry returns the key and the value of an entry of a map whose keys are strings and whose values are messages. Where either is there
// twice, all values are looked at, as one message: protobuf merges messages.
func mapEntry(data []byte) (key string, value []byte) {
	eachField(data, func(number protowire.Number, content []byte) {
		switch number {
		case mapKey:
			key = string(content)
		case mapValue:
			value = append(value, content...)
		}
	})
	return key, value
}

// eachField calls visit for each field of a message that has a length: messages, strings and bytes.
func eachField(data []byte, visit func(number protowire.Number, value []byte)) {
	for len(data) > 0 {
		number, kind, size := protowire.ConsumeTag(data)
		if size < 0 {
			return
		}
		data = data[size:]
		if kind == protowire.BytesType {
			value, size := protowire.ConsumeBytes(data)
			if size < 0 {
				return
			}
			visit(number, value)
			data = data[size:]
			continue
		}
		if size = protowire.ConsumeFieldValue(number, kind, data); size < 0 {
			return
		}
		data = data[size:]
	}
}
