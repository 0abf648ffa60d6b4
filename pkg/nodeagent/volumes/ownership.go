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
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
)

// fsGroup is the group that the Pod's volumes belong to, or nil.
func fsGroup(pod *corev1.Pod) *int64 {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	return pod.Spec.SecurityContext.FSGroup
}

// fsUser is the user that every container of the Pod runs as; nil where they don't say, or differ.
func fsUser(pod *corev1.Pod) *int64 {
	var byDefault, common *int64
	if pod.Spec.SecurityContext != nil {
		byDefault = pod.Spec.SecurityContext.RunAsUser
	}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for j := range list {
			user := byDefault
			if security := list[j].SecurityContext; security != nil && security.RunAsUser != nil {
				user = security.RunAsUser
			}
			if user == nil || (common != nil && *common != *user) {
				return nil
			}
			common = user
		}
	}
	return common
}

// Permissions that a group gets, beside those that its owner set: to files and folders of volumes that can be written, and of others.
const (
	groupReadWrite fs.FileMode = 0o660
	groupRead      fs.FileMode = 0o440
	groupEnter     fs.FileMode = 0o110
)

// giveToGroup gives a tree to a group, which then may do with it what its owner may; new files in it belong to the group too.
func giveToGroup(root string, group int64, permissions fs.FileMode) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := os.Lchown(path, -1, int(group)); err != nil {
			return err
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode() | permissions
		if entry.IsDir() {
			mode |= fs.ModeSetgid | groupEnter
		}
		return os.Chmod(path, mode)
	})
}
