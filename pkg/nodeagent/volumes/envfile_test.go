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

package volumes

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestFileKey(t *testing.T) {
	t.Parallel()
	set := newSet(t, corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	if err := set.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	folder := set.Path(&set.Pod.Spec.Volumes[0])
	outside := filepath.Join(t.TempDir(), "outside.env")
	for path, content := range map[string]string{
		folder + "/good.env": "# comment\n\nKEY='a value' # and more\n  LINES='one\ntwo'\nEMPTY=''\nKEY='second'\n",
		folder + "/bad.env":  "KEY=value\n",
		outside:              "KEY='secret of the machine'\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"out.env": outside, "up.env": "../../../../../../../../.." + outside, "in.env": "/good.env", "proc.env": "/proc/self/root" + outside} {
		if err := os.Symlink(target, filepath.Join(folder, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(folder, "pipe.env"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ volume, path, key, want, wantError string }{
		"value":               {"v", "good.env", "KEY", "a value", ""},
		"of two lines":        {"v", "good.env", "LINES", "one\ntwo", ""},
		"empty":               {"v", "good.env", "EMPTY", "", ""},
		"not there":           {"v", "good.env", "OTHER", "", ""},
		"link within":         {"v", "in.env", "KEY", "a value", ""},
		"not in the syntax":   {"v", "bad.env", "KEY", "", "line 1: value must be enclosed in single quotes"},
		"no file":             {"v", "none.env", "KEY", "", "open none.env: no such file"},
		"link out":            {"v", "out.env", "KEY", "", "no such file"},
		"link up":             {"v", "up.env", "KEY", "", "no such file"},
		"link through /proc":  {"v", "proc.env", "KEY", "", "no such file"},
		"pipe":                {"v", "pipe.env", "KEY", "", "pipe.env is not a file"},
		"folder":              {"v", ".", "KEY", "", ". is not a file"},
		"volume not in a Pod": {"other", "good.env", "KEY", "", `cannot find the volume "other" referenced by FileKeyRef`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := set.FileKey(&corev1.FileKeySelector{VolumeName: test.volume, Path: test.path, Key: test.key})
			switch {
			case test.wantError == "" && (err != nil || got != test.want):
				t.Errorf("got %q, error %v; want %q", got, err, test.want)
			case test.wantError != "" && (err == nil || got != "" || !strings.Contains(err.Error(), test.wantError)):
				t.Errorf("got %q, error %v; want one with %q", got, err, test.wantError)
			}
		})
	}
}
