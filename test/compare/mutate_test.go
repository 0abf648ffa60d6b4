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

package compare

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// A region is a part of a Job that random edits go to.
type region string

const (
	metadata region = "metadata"
	spec     region = "spec"
	template region = "spec.template"
	status   region = "status"
)

// regionsOf say how often each verb edits each part: mostly what the verb is there to write and Job rules look at.
var regionsOf = map[verb][]region{
	create:       {spec, spec, spec, spec, spec, template, template, metadata, status},
	update:       {spec, spec, spec, spec, template, template, template, metadata, status},
	statusUpdate: {status, status, status, status, status, status, metadata, spec},
}

// untouched are fields that random edits leave alone, because there is a difference. TestScheduling and TestDifferences have them.
var untouched = []string{"metadata.managedFields", "spec.scheduling"}

// A node is a place in a Job that an edit can change.
type node struct {
	path  string
	value reflect.Value
}

// nodesOf returns the places of a region: each field, pointer, slice and map, also those that are unset.
func nodesOf(job *batchv1.Job, in region) []node {
	var nodes []node
	switch in {
	case metadata:
		nodes = appendNodes(nil, "metadata", reflect.ValueOf(&job.ObjectMeta).Elem())
	case spec:
		nodes = appendNodes(nil, "spec", reflect.ValueOf(&job.Spec).Elem())
	case template:
		nodes = appendNodes(nil, "spec.template", reflect.ValueOf(&job.Spec.Template).Elem())
	case status:
		nodes = appendNodes(nil, "status", reflect.ValueOf(&job.Status).Elem())
	}
	return nodes
}

func appendNodes(nodes []node, path string, value reflect.Value) []node {
	switch value.Kind() {
	case reflect.Struct:
		if isOpaque(value.Type()) {
			return append(nodes, node{path, value})
		}
		for i := range value.NumField() {
			field := value.Type().Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			at := strings.TrimSuffix(path+"."+name, ".")
			if field.IsExported() && !slices.Contains(untouched, at) && (at != string(template) || path == string(template)) {
				nodes = appendNodes(nodes, at, value.Field(i))
			}
		}
		return nodes
	case reflect.Pointer:
		nodes = append(nodes, node{path, value})
		if !value.IsNil() {
			nodes = appendNodes(nodes, path, value.Elem())
		}
		return nodes
	case reflect.Slice:
		nodes = append(nodes, node{path, value})
		for i := range value.Len() {
			nodes = appendNodes(nodes, fmt.Sprintf("%s[%d]", path, i), value.Index(i))
		}
		return nodes
	default:
		return append(nodes, node{path, value})
	}
}

func isOpaque(t reflect.Type) bool {
	return t == typeOf[metav1.Time]() || t == typeOf[resource.Quantity]() || t == typeOf[intstr.IntOrString]()
}

// mutate changes one place of job, which the seed determines, and says which.
func mutate(job *batchv1.Job, verb verb, seed uint64) string {
	random := rand.New(rand.NewPCG(seed, 0))
	nodes := nodesOf(job, pick(random, regionsOf[verb]))
	changed := pick(random, nodes)
	before := shorten(toJSON(changed.value.Interface()))
	change(random, changed.value)
	return fmt.Sprintf("%s: %s -> %s", changed.path, before, shorten(toJSON(changed.value.Interface())))
}

func shorten(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}

func change(random *rand.Rand, value reflect.Value) {
	if isOpaque(value.Type()) {
		fillOpaque(random, value)
		return
	}
	switch value.Kind() {
	case reflect.Pointer:
		if !value.IsNil() && random.IntN(2) == 0 {
			value.SetZero()
			return
		}
		value.Set(reflect.New(value.Type().Elem()))
		fill(random, value.Elem(), 0)
	case reflect.Slice:
		changeSlice(random, value)
	case reflect.Map:
		changeMap(random, value)
	case reflect.Int32, reflect.Int64:
		if random.IntN(3) == 0 && !value.OverflowInt(value.Int()+2) {
			value.SetInt(value.Int() + int64(random.IntN(4)-2)) // a neighbour
			return
		}
		fillScalar(random, value)
	default:
		fillScalar(random, value)
	}
}

func changeSlice(random *rand.Rand, value reflect.Value) {
	count := value.Len()
	switch choice := random.IntN(8); {
	case choice == 0:
		value.SetZero()
	case choice == 1:
		value.Set(reflect.MakeSlice(value.Type(), 0, 0))
	case choice == 2 && count > 0: // without one
		i := random.IntN(count)
		value.Set(reflect.AppendSlice(value.Slice3(0, i, i), value.Slice(i+1, count)))
	case choice == 3 && count > 0: // one of them twice
		value.Set(reflect.Append(value, value.Index(random.IntN(count))))
	case choice == 4 && count > 1: // two of them swapped
		reflect.Swapper(value.Interface())(random.IntN(count), random.IntN(count))
	case choice == 5 && random.IntN(4) == 0: // more than any rule allows
		element := reflect.New(value.Type().Elem()).Elem()
		fill(random, element, 2)
		for range pick(random, []int{19, 20, 21, 255, 256}) {
			value.Set(reflect.Append(value, element))
		}
	default:
		element := reflect.New(value.Type().Elem()).Elem()
		fill(random, element, 1)
		value.Set(reflect.Append(value, element))
	}
}

func changeMap(random *rand.Rand, value reflect.Value) {
	switch random.IntN(5) {
	case 0:
		value.SetZero()
	case 1, 2:
		// In order: the seed alone decides.
		if keys := value.MapKeys(); len(keys) > 0 {
			slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
			key := pick(random, keys)
			element := reflect.New(value.Type().Elem()).Elem() // the zero Value of reflect deletes
			if fill(random, element, 1); random.IntN(2) == 0 {
				element = reflect.Value{}
			}
			value.SetMapIndex(key, element)
			return
		}
		fallthrough
	default:
		if value.IsNil() {
			value.Set(reflect.MakeMap(value.Type()))
		}
		setRandomEntry(random, value)
	}
}
