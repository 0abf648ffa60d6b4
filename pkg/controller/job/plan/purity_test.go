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

package plan

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestPurity keeps I/O and clocks out of the package: by what its files import, and by what they use of package time.
func TestPurity(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{
		"cmp": true, "fmt": true, "maps": true, "math": true, "math/bits": true, "slices": true, "strconv": true, "strings": true, "time": true,
		// For memory that Pods share: what is decided doesn't depend on it.
		"hash/maphash": true, "sync/atomic": true,
		"k8s.io/api/core/v1":                                   true,
		"k8s.io/apimachinery/pkg/apis/meta/v1":                 true,
		"k8s.io/apimachinery/pkg/runtime/schema":               true,
		"k8s.io/apimachinery/pkg/types":                        true,
		"k8s.io/apimachinery/pkg/util/sets":                    true,
		"k8s.io/apiserver/pkg/storage/names":                   true,
		"k8s.io/utils/ptr":                                     true,
		"github.com/jobserver-dev/jobserver/pkg/apis/batch":    true,
		"github.com/jobserver-dev/jobserver/pkg/apis/batch/v1": true,
	}
	// pure are what may be used of package time, and of fmt.
	pure := map[string]bool{"time.Time": true, "time.Duration": true, "time.Second": true, "time.Minute": true, "fmt.Sprintf": true, "names.MaxGeneratedNameLength": true}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		checked++
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, entry.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			if path, err := strconv.Unquote(spec.Path.Value); err != nil || !allowed[path] {
				t.Errorf("%s: imports %s", files.Position(spec.Pos()), spec.Path.Value)
			}
		}
		ast.Inspect(file, func(node ast.Node) bool {
			selector, ok := node.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := selector.X.(*ast.Ident); ok {
				name := pkg.Name + "." + selector.Sel.Name
				switch pkg.Name {
				case "time", "fmt", "names":
					if !pure[name] {
						t.Errorf("%s: uses %s", files.Position(node.Pos()), name)
					}
				case "metav1":
					if selector.Sel.Name == "Now" {
						t.Errorf("%s: uses %s", files.Position(node.Pos()), name)
					}
				}
			}
			return true
		})
	}
	if checked < 20 {
		t.Errorf("checked only %d files", checked)
	}
}
