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

package supervisor

import "strings"

// The few operations on paths that are needed here. Packages path and path/filepath are initialised late: see the package comment. All paths are clean.

func join(folder, name string) string {
	if folder == "/" {
		return folder + name
	}
	return folder + "/" + name
}

// dir is the folder that a path is in; that of the root is the root.
func dir(path string) string {
	at := strings.LastIndexByte(path, '/')
	if at <= 0 {
		return "/"
	}
	return path[:at]
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

func isAbs(path string) bool { return strings.HasPrefix(path, "/") }
