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

package mutants

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Variable is the environment variable that says which mutant a server built with an overlay is. Without it, it is none.
const Variable = "JOBSERVER_BROKEN_RULE"

// Overlay returns the source with all the mutants in it: what each file, by its path, is to be. Each function that a mutant
// edits begins with its edited body, which runs in the place of its own where Variable names the mutant. So one build is
// enough for all. root is the root of the repository.
func Overlay(root string, all []Mutant) (map[string][]byte, error) {
	byFile := map[string][]Mutant{}
	for _, mutant := range all {
		byFile[mutant.File] = append(byFile[mutant.File], mutant)
	}
	overlay := map[string][]byte{}
	for _, file := range slices.Sorted(maps.Keys(byFile)) {
		path := filepath.Join(root, file)
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if overlay[path], err = mutate(text, parsed, byFile[file]); err != nil {
			return nil, err
		}
		overlay[filepath.Join(filepath.Dir(path), "zz_mutant.go")] = fmt.Appendf(nil,
			"package %s\n\nimport \"os\"\n\nvar brokenRule = os.Getenv(%q)\n", parsed.Name.Name, Variable)
	}
	return overlay, nil
}

// mutate returns the text of a file with the edited bodies of functions in front of their own.
func mutate(text []byte, parsed *ast.File, all []Mutant) ([]byte, error) {
	// Positions of a file set with one file begin at 1.
	offset := func(pos token.Pos) int { return int(pos) - 1 }
	inserts := map[int]string{}
	for _, mutant := range all {
		if n := strings.Count(string(text), mutant.Old); n != 1 {
			return nil, fmt.Errorf("mutant %s: the text to replace is %d times in %s, not once", mutant.Name, n, mutant.File)
		}
		from := strings.Index(string(text), mutant.Old)
		function := enclosing(parsed, from, from+len(mutant.Old), offset)
		if function == nil {
			return nil, fmt.Errorf("mutant %s: the text to replace is not in a function of %s", mutant.Name, mutant.File)
		}
		begin, end := offset(function.Body.Lbrace)+1, offset(function.Body.Rbrace)
		body := string(text[begin:from]) + mutant.New + string(text[from+len(mutant.Old):end])
		if function.Type.Results == nil {
			body += "\nreturn\n"
		}
		inserts[begin] += fmt.Sprintf("\nif brokenRule == %q {%s}\n", mutant.Name, body)
	}
	var mutated strings.Builder
	last := 0
	for _, at := range slices.Sorted(maps.Keys(inserts)) {
		mutated.Write(text[last:at])
		mutated.WriteString(inserts[at])
		last = at
	}
	mutated.Write(text[last:])
	return []byte(mutated.String()), nil
}

// enclosing returns the function whose body has the text between two offsets, nil where none has.
func enclosing(parsed *ast.File, from, to int, offset func(token.Pos) int) *ast.FuncDecl {
	for _, declaration := range parsed.Decls {
		function, is := declaration.(*ast.FuncDecl)
		if is && function.Body != nil && offset(function.Body.Lbrace) < from && to <= offset(function.Body.Rbrace) {
			return function
		}
	}
	return nil
}
