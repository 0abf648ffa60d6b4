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

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// Mount is a directory or file of the machine that a container sees at a path of its choice.
type Mount struct {
	// Source is an absolute path of the machine.
	Source string
	// SubPath is a path within Source, the only part that is shown; empty: Source itself. No symbolic link in it leads out of Source.
	SubPath string
	// Target is the absolute path, clean, at which the container sees it. What doesn't exist of it is made for the container alone.
	Target string
	// ReadOnly keeps the container from writing, RecursiveReadOnly also where something else is mounted below Source.
	ReadOnly, RecursiveReadOnly bool
	// Follow shows what the machine mounts below Source later on.
	Follow bool
	// Nests makes the targets of other mounts that are within this one in Source, where all who share Source see them, as container runtimes do.
	Nests bool
}

// View says how the command sees the files of the machine. The zero View is the machine's own.
type View struct {
	// Mounts are made in the order of the depths of their targets.
	Mounts []Mount
	// ReadOnlyRoot keeps the container from writing anywhere but in Mounts.
	ReadOnlyRoot bool
	// Staging is an empty folder of the machine, absolute, that nothing but views uses. The machine sees nothing in it.
	Staging string
}

// IsPrivate tells whether the View differs from the machine's own.
func (v *View) IsPrivate() bool { return len(v.Mounts) > 0 || v.ReadOnlyRoot }

// mayMake tells whether the path is in a Mount that what isn't there may be made in.
func (v *View) mayMake(path string) bool {
	mount := v.covering(dir(path), func(target string) (string, error) { return target, nil })
	return mount != nil && mount.Nests
}

// covering returns the deepest Mount that the folder is in, or nil. Locate says where the target of a Mount is, and has an error where it is nowhere.
func (v *View) covering(folder string, locate func(target string) (string, error)) (deepest *Mount) {
	depth := 0
	for i := range v.Mounts {
		target, err := locate(v.Mounts[i].Target)
		if err == nil && (folder == target || strings.HasPrefix(folder, target+"/")) && len(target) > depth {
			deepest, depth = &v.Mounts[i], len(target)
		}
	}
	return deepest
}

// privateView is a mount namespace being made.
type privateView struct {
	View
	trees     []int // a detached copy of what each mount shows
	skeletons []skeleton
	kept      map[string]int // of /dev and /proc, which stay writable
}

// enter gives the calling thread a mount namespace of its own with the View, and returns how to get back. The thread must be locked. The folders
// of the machine are left as they are: nothing is made in them, but in a Mount that Nests.
//
// What the machine unmounts goes away in the View too (MS_SLAVE), so that it holds up no disk; nothing of the View ever shows on the machine.
func (v View) enter() (leave func() error, err error) {
	old, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return nil, err
	}
	leave = func() error {
		defer old.Close()
		return setns(int(old.Fd()))
	}
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		_ = old.Close()
		return nil, fmt.Errorf("make a mount namespace: %w", err)
	}
	private := &privateView{View: v, kept: map[string]int{}}
	defer private.close()
	if err := private.build(); err != nil {
		return nil, errors.Join(err, leave())
	}
	return leave, nil
}

func (p *privateView) close() {
	for _, tree := range p.trees {
		_ = syscall.Close(tree)
	}
	for _, tree := range p.kept {
		_ = syscall.Close(tree)
	}
}

func (p *privateView) build() error {
	if err := syscall.Mount("", "/", "", syscall.MS_SLAVE|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("separate the mounts from the machine's: %w", err)
	}
	slices.SortStableFunc(p.Mounts, func(a, b Mount) int {
		return strings.Count(a.Target, "/") - strings.Count(b.Target, "/")
	})
	// Copies of all that is shown come first, before any of it is covered or made read-only.
	for i := range p.Mounts {
		tree, err := p.Mounts[i].copyTree()
		if err != nil {
			return fmt.Errorf("mount at %s: %w", p.Mounts[i].Target, err)
		}
		p.trees = append(p.trees, tree)
	}
	if p.ReadOnlyRoot {
		if err := p.protectRoot(); err != nil {
			return fmt.Errorf("make the root file system read-only: %w", err)
		}
	}
	for i := range p.Mounts {
		if err := p.attach(i); err != nil {
			return fmt.Errorf("mount at %s: %w", p.Mounts[i].Target, err)
		}
	}
	return p.finishRoot()
}

// copyTree returns a detached copy of what the Mount shows, with its flags.
func (m *Mount) copyTree() (int, error) {
	source, err := m.open()
	if err != nil {
		return -1, err
	}
	defer syscall.Close(source)
	tree, err := openTree(source, "", atEmptyPath|atRecursive)
	if err != nil {
		return -1, fmt.Errorf("copy the mount of %s: %w", m.Source, err)
	}
	if !m.Follow {
		err = mountSetattr(tree, "", atEmptyPath|atRecursive, mountAttr{propagation: syscall.MS_PRIVATE})
	}
	flags := uintptr(atEmptyPath)
	if m.RecursiveReadOnly {
		flags |= atRecursive
	}
	if err == nil && (m.ReadOnly || m.RecursiveReadOnly) {
		err = mountSetattr(tree, "", flags, mountAttr{set: mountAttrReadOnly})
	}
	if err != nil {
		_ = syscall.Close(tree)
		return -1, fmt.Errorf("set the flags of the mount of %s (needs Linux 5.12 or newer): %w", m.Source, err)
	}
	return tree, nil
}

// open returns an O_PATH descriptor of what the Mount shows.
func (m *Mount) open() (int, error) {
	root, err := syscall.Open(m.Source, oPath|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: m.Source, Err: err}
	}
	if m.SubPath == "" {
		return root, nil
	}
	defer syscall.Close(root)
	sub, err := openInRoot(root, m.SubPath)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: join(m.Source, m.SubPath), Err: err}
	}
	return sub, nil
}

// protectRoot makes everything read-only, and remembers the two trees that stay as they are: devices and the kernel's own files.
func (p *privateView) protectRoot() error {
	for _, path := range []string{"/dev", "/proc"} {
		tree, err := openTree(-1, path, atRecursive)
		if err != nil {
			return err
		}
		p.kept[path] = tree
	}
	if err := mountSetattr(-1, "/", atRecursive, mountAttr{set: mountAttrReadOnly}); err != nil {
		return fmt.Errorf("(needs Linux 5.12 or newer): %w", err)
	}
	for path, tree := range p.kept {
		if err := moveMount(tree, path); err != nil {
			return err
		}
	}
	return nil
}

// attach mounts the copy of Mounts[i] at its target.
func (p *privateView) attach(i int) error {
	isDir, err := isDirectory(p.trees[i])
	if err != nil {
		return err
	}
	target, err := p.mountPoint(p.Mounts[i].Target, isDir)
	if err != nil {
		return err
	}
	if target == "/" {
		return errors.New("the root can't be a mount point")
	}
	return moveMount(p.trees[i], target)
}

// inView runs work on the calling thread with the View, or with that of a process that has one. It is called on the main goroutine during init.
func inView(view View, join Joined, work func() *startError) *startError {
	if !view.IsPrivate() && join.PID == 0 {
		return work()
	}
	// From here to the end no thread may be made by this one: it would be in the View too.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	enter := view.enter
	if join.PID != 0 {
		enter = join.enter
	}
	leave, err := enter()
	if err != nil {
		return &startError{CodeCannotSetUp, err.Error()}
	}
	startErr := work()
	// Should it fail, which takes a kernel that changed its mind: the records are then written from within the View, where their folder is too.
	_ = leave()
	return startErr
}
