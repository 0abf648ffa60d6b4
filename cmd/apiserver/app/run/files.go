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

package run

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// stdin is the file name that stands for standard input.
const stdin = "-"

// yamlBuffer is how much is looked at to tell JSON from YAML.
const yamlBuffer = 4096

// Object is one object of a file.
type Object struct {
	*unstructured.Unstructured
	// Source says where it was read, for messages.
	Source string
}

// ReadFiles reads all objects of the files, in order: YAML or JSON, any number of documents, lists taken apart. An error names
// the file and the document. Files that hold no object at all are an error.
func ReadFiles(filenames []string, standardInput io.Reader) ([]Object, error) {
	var objects []Object
	for _, filename := range filenames {
		content, err := readFile(filename, standardInput)
		if err != nil {
			return nil, err
		}
		found, err := decode(filename, content)
		if err != nil {
			return nil, err
		}
		objects = append(objects, found...)
	}
	if len(objects) == 0 {
		return nil, fmt.Errorf("%s: no object found", strings.Join(sourceNames(filenames), ", "))
	}
	return objects, nil
}

func readFile(filename string, standardInput io.Reader) ([]byte, error) {
	if filename != stdin {
		content, err := os.ReadFile(filename)
		if err != nil {
			return nil, fmt.Errorf("--filename: %w", err)
		}
		return content, nil
	}
	content, err := io.ReadAll(standardInput)
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return content, nil
}

func decode(filename string, content []byte) ([]Object, error) {
	var objects []Object
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), yamlBuffer)
	for document := 1; ; document++ {
		source := fmt.Sprintf("%s: document %d", sourceName(filename), document)
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(&object.Object); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", source, err)
		case len(object.Object) == 0:
			continue // nothing but comments
		}
		found, err := flatten(object, source)
		if err != nil {
			return nil, err
		}
		objects = append(objects, found...)
	}
}

// sourceName is how messages name a file.
func sourceName(filename string) string {
	if filename == stdin {
		return "standard input"
	}
	return filename
}

func sourceNames(filenames []string) []string {
	names := make([]string, 0, len(filenames))
	for _, filename := range filenames {
		names = append(names, sourceName(filename))
	}
	return names
}

// flatten takes a list apart and checks that each object says what it is.
func flatten(object *unstructured.Unstructured, source string) ([]Object, error) {
	for _, field := range []string{"apiVersion", "kind"} {
		if value, _, err := unstructured.NestedString(object.Object, field); err != nil || value == "" {
			return nil, fmt.Errorf("%s: %s is not set", source, field)
		}
	}
	if !object.IsList() {
		return []Object{{Unstructured: object, Source: source}}, nil
	}
	var objects []Object
	err := object.EachListItem(func(item runtime.Object) error {
		found, err := flatten(item.(*unstructured.Unstructured), source)
		objects = append(objects, found...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return objects, nil
}
