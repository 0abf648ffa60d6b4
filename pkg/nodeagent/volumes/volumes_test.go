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
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// memorySource is a Source of what a test puts into it.
type memorySource struct {
	configMaps map[string]*corev1.ConfigMap
	secrets    map[string]*corev1.Secret
}

func (s memorySource) ConfigMap(_ context.Context, _, name string) (*corev1.ConfigMap, error) {
	if found := s.configMaps[name]; found != nil {
		return found, nil
	}
	return nil, apierrors.NewNotFound(corev1.Resource("configmap"), name)
}

func (s memorySource) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	if found := s.secrets[name]; found != nil {
		return found, nil
	}
	return nil, apierrors.NewNotFound(corev1.Resource("secret"), name)
}

func (s memorySource) Token(_ context.Context, pod *corev1.Pod, projection *corev1.ServiceAccountTokenProjection) (string, error) {
	return "token for " + projection.Audience, nil
}

func (s memorySource) Field(pod *corev1.Pod, path string) (string, error) {
	if path == "metadata.name" {
		return pod.Name, nil
	}
	return "", fmt.Errorf("unsupported fieldPath: %s", path)
}

func (s memorySource) Resource(_ *corev1.Pod, selector *corev1.ResourceFieldSelector) (string, error) {
	return "value of " + selector.Resource, nil
}

func newSet(t *testing.T, volumes ...corev1.Volume) *Set {
	t.Helper()
	return &Set{
		Pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "pod", Labels: map[string]string{"b": "two", "a": "say \"hi\""}},
			Spec:       corev1.PodSpec{Volumes: volumes},
		},
		Dir: filepath.Join(t.TempDir(), "volumes"),
		Source: memorySource{
			configMaps: map[string]*corev1.ConfigMap{"settings": {Data: map[string]string{"level": "1", "mode": "fast"}, BinaryData: map[string][]byte{"blob": {0, 1}}}},
			secrets:    map[string]*corev1.Secret{"key": {Data: map[string][]byte{"password": []byte("hidden"), "user": []byte("me")}}},
		},
		Memory: resource.MustParse("1Gi"),
	}
}

// readVolume returns the files that a reader of the volume sees, with their modes.
func readVolume(t *testing.T, path string) map[string]string {
	t.Helper()
	seen := map[string]string{}
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "..") {
			continue
		}
		top, err := filepath.EvalSymlinks(filepath.Join(path, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		err = filepath.WalkDir(top, func(file string, found fs.DirEntry, err error) error {
			if err != nil || found.IsDir() {
				return err
			}
			info, err := found.Info()
			if err != nil {
				return err
			}
			data, err := os.ReadFile(file)
			seen[entry.Name()+strings.TrimPrefix(file, top)] = fmt.Sprintf("%o %s", info.Mode().Perm(), data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return seen
}

func TestContent(t *testing.T) {
	t.Parallel()
	reference := func(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
	tests := map[string]struct {
		source    corev1.VolumeSource
		want      map[string]string
		wantError string
	}{
		"configMap": {
			source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: reference("settings")}},
			want:   map[string]string{"level": "644 1", "mode": "644 fast", "blob": "644 \x00\x01"},
		},
		"configMap with items and modes": {
			source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: reference("settings"), DefaultMode: new(int32(0o400)),
				Items: []corev1.KeyToPath{{Key: "level", Path: "a/b/level"}, {Key: "blob", Path: "a/run", Mode: new(int32(0o755))}},
			}},
			want: map[string]string{"a/b/level": "400 1", "a/run": "755 \x00\x01"},
		},
		"configMap that is missing": {
			source:    corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: reference("none")}},
			wantError: `MountVolume.SetUp failed for volume "v" : configmap "none" not found`,
		},
		"optional configMap that is missing": {
			source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: reference("none"), Optional: new(true), Items: []corev1.KeyToPath{{Key: "x", Path: "x"}}}},
			want:   map[string]string{},
		},
		"key that is missing": {
			source:    corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: reference("settings"), Items: []corev1.KeyToPath{{Key: "x", Path: "x"}}}},
			wantError: `MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: x`,
		},
		"secret": {
			source: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "key", DefaultMode: new(int32(0o600))}},
			want:   map[string]string{"password": "600 hidden", "user": "600 me"},
		},
		"secret's key that is missing": {
			source:    corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "key", Items: []corev1.KeyToPath{{Key: "x", Path: "x"}}}},
			wantError: `MountVolume.SetUp failed for volume "v" : references non-existent secret key: x`,
		},
		"downward API": {
			source: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{
				{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}},
				{Path: "name", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}, Mode: new(int32(0o440))},
				{Path: "cpu", ResourceFieldRef: &corev1.ResourceFieldSelector{ContainerName: "main", Resource: "limits.cpu"}},
			}}},
			want: map[string]string{"labels": "644 a=\"say \\\"hi\\\"\"\nb=\"two\"", "name": "440 pod", "cpu": "644 value of limits.cpu"},
		},
		"projected": {
			source: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{DefaultMode: new(int32(0o440)), Sources: []corev1.VolumeProjection{
				{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: reference("settings"), Items: []corev1.KeyToPath{{Key: "level", Path: "same"}}}},
				{Secret: &corev1.SecretProjection{LocalObjectReference: reference("key"), Items: []corev1.KeyToPath{{Key: "user", Path: "same"}}}},
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", Audience: "you"}},
			}}},
			want: map[string]string{"same": "440 me", "token": "440 token for you"},
		},
		"projected with two errors": {
			source: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: reference("none")}}, {Secret: &corev1.SecretProjection{LocalObjectReference: reference("none")}},
			}}},
			wantError: `MountVolume.SetUp failed for volume "v" : [configmap "none" not found, secret "none" not found]`,
		},
		"path that leads out": {
			source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: reference("settings"), Items: []corev1.KeyToPath{{Key: "level", Path: "a/../../b"}},
			}},
			wantError: `MountVolume.SetUp failed for volume "v" : invalid path "a/../../b": it must not contain '..'`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := newSet(t, corev1.Volume{Name: "v", VolumeSource: test.source})
			err := set.SetUp(t.Context())
			if test.wantError != "" {
				if err == nil || err.Error() != test.wantError {
					t.Errorf("error %v, want %s", err, test.wantError)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if difference := cmp.Diff(test.want, readVolume(t, filepath.Join(set.Dir, "v"))); difference != "" {
				t.Errorf("the volume differs (-want +got):\n%s", difference)
			}
		})
	}
}

// TestUpdate changes what a volume shows and looks at every file system state that a reader could meet.
func TestUpdate(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(wanted files) string {
		t.Helper()
		if err := writeAtomically(folder, wanted, nil); err != nil {
			t.Fatal(err)
		}
		shown, err := os.Readlink(filepath.Join(folder, "..data"))
		if err != nil {
			t.Fatal(err)
		}
		return shown
	}
	plain := func(text string) file { return file{data: []byte(text), mode: 0o644} }
	first := write(files{"a": plain("1"), "sub/b": plain("2")})
	if again := write(files{"a": plain("1"), "sub/b": plain("2")}); again != first {
		t.Errorf("equal files were written again: %s, then %s", first, again)
	}
	// Traces of an update that a crash cut short, and the mount point of another volume.
	for _, folderName := range []string{"..2001_01_01", "nested"} {
		if err := os.Mkdir(filepath.Join(folder, folderName), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(folder, "..data_tmp")); err != nil {
		t.Fatal(err)
	}
	second := write(files{"c": plain("3")})
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if difference := cmp.Diff([]string{second, "..data", "c", "nested"}, names); difference != "" {
		t.Errorf("the folder differs (-want +got):\n%s", difference)
	}
	if got, err := os.ReadFile(filepath.Join(folder, "c")); err != nil || string(got) != "3" {
		t.Errorf("c is %q, error %v", got, err)
	}
}

func TestHostPath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	tests := []struct {
		kind      corev1.HostPathType
		path      string
		wantError string // DIR stands for the folder
		wantMade  bool
	}{
		{kind: "", path: "file"},
		{kind: "", path: "new/deep", wantMade: true},
		{kind: corev1.HostPathDirectory, path: "."},
		{kind: corev1.HostPathDirectory, path: "file", wantError: "hostPath type check failed: DIR/file is not a directory"},
		{kind: corev1.HostPathDirectory, path: "none", wantError: "hostPath type check failed: DIR/none is not a directory"},
		{kind: corev1.HostPathDirectoryOrCreate, path: "made", wantMade: true},
		{kind: corev1.HostPathDirectoryOrCreate, path: "file", wantError: "hostPath type check failed: DIR/file is not a directory"},
		{kind: corev1.HostPathFile, path: "file"},
		{kind: corev1.HostPathFile, path: ".", wantError: "hostPath type check failed: DIR is not a file"},
		{kind: corev1.HostPathFileOrCreate, path: "made-file", wantMade: true},
		{kind: corev1.HostPathFileOrCreate, path: "nowhere/file", wantError: "open DIR/nowhere/file: no such file or directory"},
		{kind: corev1.HostPathSocket, path: "socket"},
		{kind: corev1.HostPathSocket, path: "file", wantError: "hostPath type check failed: DIR/file is not a socket file"},
		{kind: corev1.HostPathCharDev, path: "../../../../../../../../dev/null"},
		{kind: corev1.HostPathBlockDev, path: "file", wantError: "hostPath type check failed: DIR/file is not a block device"},
		{kind: "Odd", path: "file", wantError: "Odd is an invalid volume type"},
	}
	for _, test := range tests {
		t.Run(string(test.kind)+" "+strings.ReplaceAll(test.path, "/", "-"), func(t *testing.T) {
			path := filepath.Join(dir, test.path)
			set := newSet(t, corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &test.kind}}})
			got := errors.Unwrap(set.SetUp(t.Context()))
			if want := strings.ReplaceAll(test.wantError, "DIR", dir); (got == nil) != (want == "") || (got != nil && got.Error() != want) {
				t.Errorf("error %v, want %q", got, want)
			}
			if _, err := os.Stat(path); test.wantMade && err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMounts(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	set := newSet(t,
		corev1.Volume{Name: "empty"}, corev1.Volume{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: outside}}},
		corev1.Volume{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}},
	)
	if err := set.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(set.Dir, "empty", "escape")); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		mount     corev1.VolumeMount
		want      supervisor.Mount
		wantError string
	}{
		"emptyDir":              {mount: corev1.VolumeMount{Name: "empty", MountPath: "/a"}, want: supervisor.Mount{Source: set.Dir + "/empty", Target: "/a", Nests: true}},
		"relative":              {mount: corev1.VolumeMount{Name: "empty", MountPath: "a"}, want: supervisor.Mount{Source: set.Dir + "/empty", Target: "/a", Nests: true}},
		"configMap":             {mount: corev1.VolumeMount{Name: "config", MountPath: "/a"}, want: supervisor.Mount{Source: set.Dir + "/config", Target: "/a", ReadOnly: true}},
		"hostPath, read-only":   {mount: corev1.VolumeMount{Name: "host", MountPath: "/a", ReadOnly: true}, want: supervisor.Mount{Source: outside, Target: "/a", ReadOnly: true}},
		"recursively read-only": {mount: corev1.VolumeMount{Name: "host", MountPath: "/a", ReadOnly: true, RecursiveReadOnly: new(corev1.RecursiveReadOnlyIfPossible)}, want: supervisor.Mount{Source: outside, Target: "/a", ReadOnly: true, RecursiveReadOnly: true}},
		"following":             {mount: corev1.VolumeMount{Name: "host", MountPath: "/a", MountPropagation: new(corev1.MountPropagationHostToContainer)}, want: supervisor.Mount{Source: outside, Target: "/a", Follow: true}},
		"sub path":              {mount: corev1.VolumeMount{Name: "empty", MountPath: "/a", SubPath: "x/y"}, want: supervisor.Mount{Source: set.Dir + "/empty", SubPath: "x/y", Target: "/a", Nests: true}},
		"sub path of a key":     {mount: corev1.VolumeMount{Name: "config", MountPath: "/a", SubPath: "level"}, want: supervisor.Mount{Source: set.Dir + "/config", SubPath: "level", Target: "/a", ReadOnly: true}},
		"expression":            {mount: corev1.VolumeMount{Name: "empty", MountPath: "/a", SubPathExpr: "known"}, want: supervisor.Mount{Source: set.Dir + "/empty", SubPath: "known", Target: "/a", Nests: true}},
		"unknown variable":      {mount: corev1.VolumeMount{Name: "empty", MountPath: "/a", SubPathExpr: "unknown"}, wantError: "missing value for A, B"},
		"absolute sub path":     {mount: corev1.VolumeMount{Name: "empty", MountPath: "/a", SubPath: "/x"}, wantError: "error SubPath `/x` must not be an absolute path"},
		"sub path that goes up": {mount: corev1.VolumeMount{Name: "empty", MountPath: "/a", SubPath: "x/../y"}, wantError: "unable to provision SubPath `x/../y`: must not contain '..'"},
		"link that leads out": {
			mount:     corev1.VolumeMount{Name: "empty", MountPath: "/a", SubPath: "escape/made"},
			wantError: `failed to create subPath directory for volumeMount "empty" of container "main": mkdir escape: file exists`,
		},
		"no such volume": {mount: corev1.VolumeMount{Name: "none", MountPath: "/a"}, wantError: `volume "none" of volumeMount /a is not one of the Pod's`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := set.Mounts(&corev1.Container{Name: "main", VolumeMounts: []corev1.VolumeMount{test.mount}}, func(text string) (string, []string) {
				if text == "unknown" {
					return "", []string{"A", "B"}
				}
				return text, nil
			})
			if test.wantError != "" {
				if err == nil || err.Error() != test.wantError {
					t.Errorf("error %v, want %s", err, test.wantError)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if difference := cmp.Diff([]supervisor.Mount{test.want}, got); difference != "" {
				t.Errorf("the mounts differ (-want +got):\n%s", difference)
			}
			if test.want.SubPath != "" {
				if _, err := os.Stat(filepath.Join(test.want.Source, test.want.SubPath)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 0 {
		t.Errorf("outside of the volume there is %v, error %v", entries, err)
	}
}

func TestFSGroup(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("giving files away needs root")
	}
	set := newSet(t, corev1.Volume{Name: "empty"}, corev1.Volume{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}, DefaultMode: new(int32(0o400)),
	}}})
	set.Pod.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: new(int64(4711))}
	for range 2 { // the second time, all is there
		if err := set.SetUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{"empty": "dgrwxrwxrwx", "config/..data/level": "-r--r-----"} {
		info, err := os.Stat(filepath.Join(set.Dir, path))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().String(); got != want || groupOf(info) != 4711 {
			t.Errorf("%s has mode %s and group %d, want %s and 4711", path, got, groupOf(info), want)
		}
	}
}

func groupOf(info fs.FileInfo) uint32 { return info.Sys().(*syscall.Stat_t).Gid }
