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
	// Staging is an empty folder of the machine, absolute, that nothing else uses. The machine sees nothing in it.
	Staging string
}

// IsPrivate tells whether the View differs from the machine's own.
func (v *View) IsPrivate() bool { return len(v.Mounts) > 0 || v.ReadOnlyRoot }

// mayMake tells whether the path is in a Mount that what isn't there may be made in.
func (v *View) mayMake(path string) bool {
	var deepest *Mount
	for i := range v.Mounts {
		target := v.Mounts[i].Target
		if strings.HasPrefix(path, target+"/") && (deepest == nil || len(deepest.Target) < len(target)) {
			deepest = &v.Mounts[i]
		}
	}
	return deepest != nil && deepest.Nests
}

// maxSkeleton bounds the entries of a folder that is shown in pieces: each costs a mount.
const maxSkeleton = 5000

// privateView is a mount namespace being made.
type privateView struct {
	View
	trees     []int // a detached copy of what each mount shows
	skeletons []skeleton
	kept      map[string]int // of /dev and /proc, which stay writable
}

// skeleton is a file system in memory that stands in for a folder of the machine, with the folder's entries mounted in it one by one: mount points
// can be made in it that the folder doesn't have.
type skeleton struct {
	path   string
	device uint64
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

// mountPoint returns the target without symbolic links, made where it didn't exist.
func (p *privateView) mountPoint(target string, isDir bool) (string, error) {
	existing, missing, err := splitExisting(target)
	if err != nil {
		return "", err
	}
	if len(missing) == 0 {
		switch info, err := os.Stat(existing); {
		case err != nil:
			return "", err
		case info.IsDir() && !isDir:
			return "", fmt.Errorf("%s is a directory, what is to be mounted on it is none", existing)
		case !info.IsDir() && isDir:
			return "", fmt.Errorf("%s is not a directory, what is to be mounted on it is one", existing)
		}
		return existing, nil
	}
	if err := p.allowEntries(existing); err != nil {
		return "", err
	}
	path := existing
	for i, name := range missing {
		path = join(path, name)
		if i < len(missing)-1 || isDir {
			err = os.Mkdir(path, 0o755)
		} else {
			err = os.WriteFile(path, nil, 0o644)
		}
		if err != nil {
			return "", fmt.Errorf("make mount point: %w", err)
		}
	}
	return path, nil
}

// splitExisting returns the longest part of the path that exists, without symbolic links, and the names that follow it.
func splitExisting(path string) (existing string, missing []string, err error) {
	for {
		existing, err = resolve(path)
		if err == nil {
			return existing, missing, nil
		}
		if !errors.Is(err, os.ErrNotExist) || path == "/" {
			return "", nil, err
		}
		missing = append([]string{base(path)}, missing...)
		path = dir(path)
	}
}

// resolve returns the path without symbolic links. (filepath.EvalSymlinks does too: see paths.go.)
func resolve(path string) (string, error) {
	fd, err := syscall.Open(path, oPath|syscall.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer syscall.Close(fd)
	return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
}

// allowEntries sees to it that mount points can be made in the folder, unseen by the machine.
func (p *privateView) allowEntries(folder string) error {
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &os.PathError{Op: "mkdir", Path: folder, Err: syscall.ENOTDIR}
	}
	device := info.Sys().(*syscall.Stat_t).Dev
	if slices.ContainsFunc(p.skeletons, func(s skeleton) bool { return s.device == device }) {
		return nil
	}
	if covering := p.covering(folder); covering != nil && covering.Nests {
		return nil
	}
	made, err := p.makeSkeleton(folder, info)
	if err != nil {
		return fmt.Errorf("make mount points possible in %s: %w", folder, err)
	}
	p.skeletons = append(p.skeletons, made)
	return nil
}

// covering returns the Mount that the folder is in, or nil.
func (p *privateView) covering(folder string) *Mount {
	var deepest *Mount
	for i := range p.Mounts {
		target, err := resolve(p.Mounts[i].Target)
		if err == nil && (folder == target || strings.HasPrefix(folder, target+"/")) && (deepest == nil || len(deepest.Target) < len(target)) {
			deepest = &p.Mounts[i]
		}
	}
	return deepest
}

// makeSkeleton puts a skeleton in the place of the folder.
func (p *privateView) makeSkeleton(folder string, info os.FileInfo) (skeleton, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return skeleton{}, err
	}
	if len(entries) > maxSkeleton {
		return skeleton{}, fmt.Errorf("it has %d entries, more than %d: make the mount point on the machine", len(entries), maxSkeleton)
	}
	owner := info.Sys().(*syscall.Stat_t)
	options := fmt.Sprintf("mode=%o,uid=%d,gid=%d", owner.Mode&0o7777, owner.Uid, owner.Gid)
	if err := syscall.Mount("tmpfs", p.Staging, "tmpfs", 0, options); err != nil {
		return skeleton{}, err
	}
	// The staging folder lies in one of the entries, which is mounted in it in turn: unbindable ends that there.
	if err := syscall.Mount("", p.Staging, "", syscall.MS_UNBINDABLE, ""); err != nil {
		return skeleton{}, err
	}
	for _, entry := range entries {
		if err := copyEntry(join(folder, entry.Name()), join(p.Staging, entry.Name()), entry); err != nil {
			return skeleton{}, err
		}
	}
	if err := syscall.Mount("", p.Staging, "", syscall.MS_PRIVATE, ""); err != nil {
		return skeleton{}, err
	}
	if folder == "/" {
		err = pivotRoot(p.Staging)
	} else {
		err = syscall.Mount(p.Staging, folder, "", syscall.MS_MOVE, "")
	}
	if err != nil {
		return skeleton{}, err
	}
	var made syscall.Stat_t
	if err := syscall.Stat(folder, &made); err != nil {
		return skeleton{}, err
	}
	return skeleton{folder, made.Dev}, nil
}

// copyEntry shows one entry of a folder in the skeleton. One that has gone meanwhile is left out.
func copyEntry(from, to string, entry os.DirEntry) error {
	if entry.Type()&os.ModeSymlink != 0 {
		link, err := os.Readlink(from)
		if err != nil {
			return ignoreMissing(err)
		}
		return os.Symlink(link, to)
	}
	var err error
	if entry.IsDir() {
		err = os.Mkdir(to, 0o755)
	} else {
		err = os.WriteFile(to, nil, 0o600)
	}
	if err != nil {
		return err
	}
	if err := syscall.Mount(from, to, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return os.Remove(to)
		}
		return &os.PathError{Op: "mount", Path: from, Err: err}
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// pivotRoot makes the folder the root, and drops the old one.
func pivotRoot(folder string) error {
	if err := syscall.Chdir(folder); err != nil {
		return err
	}
	// Both arguments may be the same: the old root is then stacked on the new one.
	if err := syscall.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := syscall.Unmount(".", syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("drop the old root: %w", err)
	}
	return syscall.Chdir("/")
}

// finishRoot makes the skeletons as read-only as what they stand for.
func (p *privateView) finishRoot() error {
	if !p.ReadOnlyRoot {
		return nil
	}
	for _, made := range p.skeletons {
		if err := mountSetattr(-1, made.path, 0, mountAttr{set: mountAttrReadOnly}); err != nil {
			return fmt.Errorf("make %s read-only: %w", made.path, err)
		}
	}
	return nil
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

// Joined is a process whose view of the machine's files a command gets; the zero value is none.
type Joined struct {
	PID int
	// Start is the start time in clock ticks since boot: the number alone may by now name another process.
	Start uint64
}

// enter gives the calling thread the mount namespace of the process. The thread must be locked.
func (j Joined) enter() (leave func() error, err error) {
	theirs, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", j.PID))
	if err != nil {
		return nil, fmt.Errorf("join the container: %w", err)
	}
	defer theirs.Close()
	// With the namespace open, it can't become another one's any more.
	if process, err := ReadProcess(j.PID); err != nil || process.Start != j.Start || process.Zombie {
		return nil, errors.New("join the container: it has ended")
	}
	old, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return nil, err
	}
	// A thread that shares its root and working directory with others can't change its namespace.
	if err = syscall.Unshare(syscall.CLONE_FS); err == nil {
		err = setns(int(theirs.Fd()))
	}
	if err != nil {
		_ = old.Close()
		return nil, fmt.Errorf("join the container: %w", err)
	}
	return func() error {
		defer old.Close()
		return setns(int(old.Fd()))
	}, nil
}
