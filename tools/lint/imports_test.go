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

// Package lint tests the linters' rules of this repository. The linters themselves are the tools of this module.
package lint

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	mainModule = "github.com/jobserver-dev/jobserver"
	kubernetes = "k8s.io/kubernetes"
)

// importCases holds an import for each rule of the .import-restrictions files, on both sides of it where it has two.
var importCases = []struct {
	folder  string // of the importing package, below the repository's root
	imports string // package path
	refused bool
}{
	{folder: "cmd/apiserver", imports: mainModule + "/pkg/apiserver"},
	{folder: "cmd/apiserver", imports: mainModule + "/test/framework", refused: true},
	{folder: "pkg/apis/batch", imports: mainModule + "/pkg/apis/batch/v1"},
	{folder: "pkg/apis/batch", imports: mainModule + "/pkg/registry/batch/job", refused: true},
	{folder: "pkg/apis/batch", imports: mainModule + "/pkg/generated/clientset", refused: true},
	{folder: "pkg/registry/batch/job", imports: mainModule + "/pkg/apis/batch"},
	{folder: "pkg/registry/batch/job", imports: mainModule + "/pkg/controller/job", refused: true},
	{folder: "pkg/registry/batch/job", imports: mainModule + "/pkg/nodeagent", refused: true},
	{folder: "pkg/registry/batch/job", imports: mainModule + "/pkg/apiserver", refused: true},
	{folder: "pkg/controller/job", imports: mainModule + "/pkg/generated/clientset"},
	{folder: "pkg/controller/job", imports: mainModule + "/pkg/registry/batch/job", refused: true},
	{folder: "pkg/controller/job", imports: mainModule + "/pkg/nodeagent", refused: true},
	{folder: "pkg/controller/job/plan", imports: mainModule + "/pkg/apis/batch"},
	{folder: "pkg/controller/job/plan", imports: mainModule + "/pkg/generated/clientset", refused: true},
	{folder: "pkg/controller/job/plan", imports: "k8s.io/client-go/kubernetes", refused: true},
	{folder: "pkg/controller/job/plan", imports: "k8s.io/client-go/informers", refused: true},
	{folder: "pkg/controller/job/plan", imports: "sort"},
	{folder: "pkg/nodeagent", imports: "os"},
	{folder: "pkg/nodeagent", imports: mainModule + "/pkg/apis/batch"},
	{folder: "pkg/nodeagent", imports: mainModule + "/pkg/controller/job", refused: true},
	{folder: "pkg/etcd", imports: mainModule + "/pkg/apis/batch", refused: true},
	{folder: "pkg/pki", imports: mainModule + "/pkg/datadir", refused: true},
	{folder: "pkg/datadir", imports: mainModule + "/pkg/etcd", refused: true},
	{folder: "pkg/generated/clientset", imports: mainModule + "/pkg/apis/batch/v1"},
	{folder: "pkg/generated/clientset", imports: mainModule + "/pkg/controller/job", refused: true},
	{folder: "pkg/apiserver", imports: mainModule + "/pkg/controller/job"},
	{folder: "pkg/apiserver", imports: mainModule + "/cmd/apiserver/app", refused: true},
	{folder: "pkg/apiserver", imports: mainModule + "/test/framework", refused: true},
	{folder: "test/integration", imports: mainModule + "/pkg/apiserver"},

	{folder: "pkg/apis/batch/podtemplate", imports: kubernetes + "/pkg/apis/core/validation"},
	{folder: "pkg/apis/batch/podtemplate", imports: kubernetes + "/pkg/apis/batch", refused: true},
	{folder: "pkg/apis/batch/podtemplate", imports: kubernetes + "/pkg/registry/core/pod", refused: true},
	{folder: "pkg/registry/core/pod", imports: kubernetes + "/pkg/registry/core/pod"},
	{folder: "pkg/registry/core/pod", imports: kubernetes + "/pkg/registry/core/pod/storage", refused: true},
	{folder: "pkg/registry/core/pod", imports: kubernetes + "/pkg/printers", refused: true},
	{folder: "pkg/registry/batch/job", imports: kubernetes + "/pkg/apis/core/validation", refused: true},
	{folder: "pkg/controller/job", imports: kubernetes + "/pkg/controller/job", refused: true},
	{folder: "pkg/nodeagent", imports: kubernetes + "/pkg/kubelet/types", refused: true},
	{folder: "pkg/nodeagent", imports: kubernetes + "/pkg/probe/http", refused: true},
	{folder: "pkg/nodeagent/probe", imports: kubernetes + "/pkg/probe/http"},
	{folder: "pkg/nodeagent/probe", imports: kubernetes + "/pkg/kubelet/types", refused: true},
	{folder: "pkg/nodeagent/volumes", imports: kubernetes + "/pkg/kubelet/util/env"},
	{folder: "pkg/nodeagent/volumes", imports: kubernetes + "/pkg/kubelet/types", refused: true},
	{folder: "pkg/registry/coordination", imports: kubernetes + "/pkg/registry/coordination/lease"},
	{folder: "pkg/registry/coordination", imports: kubernetes + "/pkg/registry/coordination/lease/storage", refused: true},
	{folder: "pkg/registry/coordination", imports: kubernetes + "/pkg/apis/core/validation", refused: true},
	{folder: "cmd/apiserver", imports: kubernetes + "/pkg/apis/core/install", refused: true},
	{folder: "test/integration", imports: kubernetes + "/pkg/apis/batch", refused: true},
}

// TestImportRestrictions runs import-boss with the repository's own rule files over a tree of stub packages, one importing package
// for each case.
func TestImportRestrictions(t *testing.T) {
	t.Parallel()
	tree := newStubTree(t)
	for i, c := range importCases {
		tree.addPackage(t, importerOf(i), c.imports)
	}
	// A rule that is said to hold through other packages is seen through one.
	const detour = mainModule + "/pkg/apis/batch/podtemplate/detour"
	tree.addPackage(t, detour, kubernetes+"/pkg/apis/core/detour")
	tree.addPackage(t, kubernetes+"/pkg/apis/core/detour", kubernetes+"/pkg/printers")

	report := tree.importBoss(t)
	for i, c := range importCases {
		refusal := fmt.Sprintf("%q -> %q", importerOf(i), c.imports)
		if got := strings.Contains(report, refusal); got != c.refused {
			t.Errorf("%s importing %s: refused is %t, want %t", c.folder, c.imports, got, c.refused)
		}
	}
	if refusal := fmt.Sprintf("%q --> %q", detour, kubernetes+"/pkg/printers"); !strings.Contains(report, refusal) {
		t.Errorf("an import of %s through another package is not refused", kubernetes+"/pkg/printers")
	}
	if t.Failed() {
		t.Logf("import-boss said:\n%s", report)
	}
}

// importerOf returns the path of the package made for case i.
func importerOf(i int) string {
	return fmt.Sprintf("%s/%s/case%d", mainModule, importCases[i].folder, i)
}

// stubTree is a copy of the repository that has its rule files and stub packages only.
type stubTree struct {
	modules map[string]string // folder of each module, by module path
}

func newStubTree(t *testing.T) *stubTree {
	t.Helper()
	root := t.TempDir()
	tree := &stubTree{modules: map[string]string{mainModule: filepath.Join(root, "main")}}
	mainFile := "module " + mainModule + "\n\ngo 1.26.0\n"
	for _, module := range []string{kubernetes, "k8s.io/client-go"} {
		folder := filepath.Join(root, filepath.Base(module))
		tree.modules[module] = folder
		writeFile(t, filepath.Join(folder, "go.mod"), "module "+module+"\n\ngo 1.26.0\n")
		mainFile += fmt.Sprintf("\nrequire %s v1.0.0\n\nreplace %s => %s\n", module, module, folder)
	}
	writeFile(t, filepath.Join(tree.modules[mainModule], "go.mod"), mainFile)
	copyRules(t, filepath.Join("..", ".."), tree.modules[mainModule])
	return tree
}

// copyRules copies each .import-restrictions file of a repository to the same place below another folder.
func copyRules(t *testing.T, repository, to string) {
	t.Helper()
	copied := 0
	err := filepath.WalkDir(repository, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != ".import-restrictions" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(repository, path)
		if err != nil {
			return err
		}
		writeFile(t, filepath.Join(to, below), string(content))
		copied++
		return nil
	})
	if err != nil {
		t.Fatalf("copying the rule files: %v", err)
	}
	if copied == 0 {
		t.Fatalf("no rule files below %s", repository)
	}
}

// addPackage writes a package that imports another, and the imported one as an empty package where it is one of the tree's.
func (s *stubTree) addPackage(t *testing.T, path, imports string) {
	t.Helper()
	writeFile(t, filepath.Join(s.folderOf(t, path), "stub.go"), fmt.Sprintf("package stub\n\nimport _ %q\n", imports))
	if !strings.Contains(imports, ".") {
		return // standard library
	}
	imported := filepath.Join(s.folderOf(t, imports), "stub.go")
	if _, err := os.Stat(imported); err != nil {
		writeFile(t, imported, "package stub\n")
	}
}

func (s *stubTree) folderOf(t *testing.T, path string) string {
	t.Helper()
	for module, folder := range s.modules {
		if below, ok := strings.CutPrefix(path, module+"/"); ok {
			return filepath.Join(folder, below)
		}
	}
	t.Fatalf("%s is in no module of the tree", path)
	return ""
}

// importBoss returns what import-boss says about the tree; it must find something wrong.
func (s *stubTree) importBoss(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "import-boss")
	if output, err := exec.Command("go", "build", "-o", binary, kubernetes+"/cmd/import-boss").CombinedOutput(); err != nil {
		t.Fatalf("building import-boss: %v\n%s", err, output)
	}
	command := exec.Command(binary, "./...")
	command.Dir = s.modules[mainModule]
	command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	output, err := command.CombinedOutput()
	if err == nil {
		t.Fatalf("import-boss found nothing wrong:\n%s", output)
	}
	if strings.Contains(string(output), "failed to load") {
		t.Fatalf("import-boss did not load the tree:\n%s", output)
	}
	return string(output)
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
