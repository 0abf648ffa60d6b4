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

// Package cgroup makes the cgroups of containers, in the hierarchy of version 2 and those of version 1, whichever the machine has.
//
// Where this process may write, each container gets a cgroup of version 2, so that its processes are found whatever becomes of their parents, and one in each
// hierarchy of version 1 that a limit of its needs. All lie in one folder a hierarchy, whose name is that of the agent's root folder in short:
//
//	/sys/fs/cgroup/jobserver-1234567890/PODUID_CONTAINER_ATTEMPT
//
// That folder is at the root of the hierarchy of version 2, as a kubelet's is, since only there a process may be beside it. In version 1 it is in the cgroup of this
// process, whose limits go on to hold for the containers.
package cgroup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// Limits bound what the processes of a container may use together; zero is no bound.
type Limits struct {
	// Memory is in bytes, MilliCPU in thousandths of a CPU.
	Memory, MilliCPU int64
}

// Controllers are the names of those that Limits need.
const (
	Memory = "memory"
	CPU    = "cpu"
)

// Cgroups is what the machine has for containers. Find it with Find.
type Cgroups struct {
	// unified is the folder of the containers in the hierarchy of version 2; nil: there is none that this process may write.
	unified *place
	// legacy are those of version 1, by controller.
	legacy map[string]*place
	// why says of controllers that can't be used why.
	why map[string]error
}

// place is the folder of the containers in one hierarchy.
type place struct {
	folder string
	// home is the folder that this process is in.
	home string
	// controllers are those that can be used in the folder, where it is of version 2.
	controllers []string
}

// Find finds out what the machine has for the agent with the root folder. No cgroup is made, but the root of version 2 is told to hand down what limits need.
func Find(rootDir string) *Cgroups {
	mounts, mountsErr := os.ReadFile("/proc/self/mountinfo")
	own, ownErr := os.ReadFile("/proc/self/cgroup")
	if err := errors.Join(mountsErr, ownErr); err != nil {
		return &Cgroups{why: map[string]error{Memory: err, CPU: err}}
	}
	sum := sha256.Sum256([]byte(rootDir))
	return find(string(mounts), string(own), "jobserver-"+hex.EncodeToString(sum[:5]))
}

// find is Find for the text of /proc/self/mountinfo and /proc/self/cgroup.
func find(mounts, own, name string) *Cgroups {
	found := &Cgroups{legacy: map[string]*place{}, why: map[string]error{}}
	paths := ownPaths(own)
	for line := range strings.Lines(mounts) {
		mount, ok := parseMount(line)
		if !ok {
			continue
		}
		if mount.kind == "cgroup2" {
			home, err := mount.path(paths[""])
			if err == nil && found.unified == nil && isWritable(mount.point) == nil && takesProcesses(mount.point) {
				found.unified = &place{folder: filepath.Join(mount.point, name), home: home}
				found.unified.controllers = enableControllers(mount.point)
			}
			continue
		}
		for _, controller := range []string{Memory, CPU} {
			if !slices.Contains(mount.options, controller) || found.legacy[controller] != nil {
				continue
			}
			home, err := mount.path(paths[controller])
			if err == nil {
				err = isWritable(home)
			}
			if err != nil {
				found.why[controller] = err
				continue
			}
			found.legacy[controller] = &place{folder: filepath.Join(home, name), home: home}
		}
	}
	for _, controller := range []string{Memory, CPU} {
		switch {
		case found.place(controller) != nil:
			delete(found.why, controller)
		case found.why[controller] == nil:
			found.why[controller] = fmt.Errorf("there is no cgroup hierarchy with the controller %s that this process may write", controller)
		}
	}
	return found
}

// Why returns why limits that need the controller can't be enforced; nil: they can.
func (c *Cgroups) Why(controller string) error { return c.why[controller] }

// place is where the controller is; nil: nowhere.
func (c *Cgroups) place(controller string) *place {
	if c.unified != nil && slices.Contains(c.unified.controllers, controller) {
		return c.unified
	}
	return c.legacy[controller]
}

// Create makes the cgroup of a container. Limits that can't be enforced are left out: see Why. Where nothing can be made, it is the zero Cgroup.
func (c *Cgroups) Create(name string, limits Limits) (supervisor.Cgroup, error) {
	made := supervisor.Cgroup{}
	if c.unified != nil {
		folder, err := c.unified.create(name)
		switch {
		case err == nil:
			made.Unified, made.Home = folder, append(made.Home, c.unified.home)
		case c.limitsIn(c.unified, limits):
			return made, err
		}
	}
	for _, limit := range limits.settings() {
		place := c.place(limit.controller)
		if place == nil {
			continue
		}
		folder := made.Unified
		version := 2
		if place != c.unified {
			version = 1
			var err error
			if folder, err = place.create(name); err != nil {
				return made, errors.Join(err, made.Remove())
			}
			if !slices.Contains(made.Legacy, folder) { // one hierarchy may have several controllers
				made.Legacy, made.Home = append(made.Legacy, folder), append(made.Home, place.home)
			}
		}
		if limit.controller == Memory {
			made.Memory = folder
		}
		if err := limit.write(folder, version); err != nil {
			return made, errors.Join(err, made.Remove())
		}
	}
	return made, nil
}

// Clean deletes the folders of the containers where they are empty.
func (c *Cgroups) Clean() {
	for _, folder := range c.Folders() {
		_ = os.Remove(folder)
	}
}

// Sweep deletes the containers' cgroups that keep doesn't name, with what is in them: what agents and supervisors that were killed have left.
func (c *Cgroups) Sweep(keep func(name string) bool) error {
	var failed []error
	for _, folder := range c.Folders() {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = append(failed, fmt.Errorf("find earlier cgroups: %w", err))
		}
		for _, entry := range entries {
			if entry.IsDir() && !keep(entry.Name()) {
				left := supervisor.Cgroup{Legacy: []string{filepath.Join(folder, entry.Name())}}
				failed = append(failed, left.Remove())
			}
		}
	}
	return errors.Join(failed...)
}

// Folders are those of the containers.
func (c *Cgroups) Folders() []string {
	var folders []string
	if c.unified != nil {
		folders = append(folders, c.unified.folder)
	}
	for _, place := range c.legacy {
		folders = append(folders, place.folder)
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}

// limitsIn tells whether one of the limits is enforced in the place.
func (c *Cgroups) limitsIn(place *place, limits Limits) bool {
	return slices.ContainsFunc(limits.settings(), func(s setting) bool { return c.place(s.controller) == place })
}

// create makes a container's folder, and the one that it is in where need be. Another process may delete the latter when it is empty: hence the repetition.
func (p *place) create(name string) (string, error) {
	folder := filepath.Join(p.folder, name)
	var err error
	for range 5 {
		if err = os.Mkdir(folder, 0o755); err == nil || errors.Is(err, os.ErrExist) {
			return folder, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			break
		}
		if err = os.Mkdir(p.folder, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			break
		}
		if len(p.controllers) > 0 {
			enableControllers(p.folder)
		}
	}
	return "", fmt.Errorf("make cgroup: %w", err)
}

// enableControllers has a cgroup of version 2 hand down to those in it the controllers that limits need, and returns those that it does hand down. One with
// processes of its own can't hand any down, unless it is the root of the machine.
func enableControllers(folder string) []string {
	control := filepath.Join(folder, "cgroup.subtree_control")
	for _, controller := range readWords(filepath.Join(folder, "cgroup.controllers")) {
		if (controller == Memory || controller == CPU) && !slices.Contains(readWords(control), controller) {
			_ = os.WriteFile(control, []byte("+"+controller), 0o644)
		}
	}
	return readWords(control)
}

// setting is one limit as the kernel takes it: what is written into which file of which version.
type setting struct {
	controller string
	files      map[int][]file
}

type file struct {
	name, value string
	// optional files may be missing, or refuse the value.
	optional bool
}

// cpuPeriod, in microseconds, is what a kubelet sets; minQuota is the least that the kernel takes.
const (
	cpuPeriod = 100_000
	minQuota  = 1000
)

// settings are the limits that are set. A container may not swap what its memory limit keeps it from having, as with a kubelet; where the kernel kills for want of memory,
// it kills all of the container where it can.
func (l Limits) settings() []setting {
	var set []setting
	if l.Memory > 0 {
		bytes := strconv.FormatInt(l.Memory, 10)
		set = append(set, setting{Memory, map[int][]file{
			1: {{name: "memory.limit_in_bytes", value: bytes}, {name: "memory.memsw.limit_in_bytes", value: bytes, optional: true}},
			2: {{name: "memory.max", value: bytes}, {name: "memory.swap.max", value: "0", optional: true}, {name: "memory.oom.group", value: "1", optional: true}},
		}})
	}
	if l.MilliCPU > 0 {
		quota := strconv.FormatInt(max(l.MilliCPU*cpuPeriod/1000, minQuota), 10)
		period := strconv.Itoa(cpuPeriod)
		set = append(set, setting{CPU, map[int][]file{
			1: {{name: "cpu.cfs_period_us", value: period}, {name: "cpu.cfs_quota_us", value: quota}},
			2: {{name: "cpu.max", value: quota + " " + period}},
		}})
	}
	return set
}

func (s setting) write(folder string, version int) error {
	for _, file := range s.files[version] {
		if err := os.WriteFile(filepath.Join(folder, file.name), []byte(file.value), 0o644); err != nil && !file.optional {
			return fmt.Errorf("set the limit %s: %w", file.name, err)
		}
	}
	return nil
}

// ownPaths are the paths of this process' cgroups by controller; that of version 2 is under the empty name.
func ownPaths(own string) map[string]string {
	paths := map[string]string{}
	for line := range strings.Lines(own) {
		// "4:memory:/path", "0::/path"
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			paths[controller] = fields[2]
		}
	}
	return paths
}

// mount is a mounted hierarchy.
type mount struct {
	kind, point string
	// root is the cgroup that is mounted there.
	root    string
	options []string
}

// parseMount reads a line of proc_pid_mountinfo(5); ok is false where it isn't of a hierarchy.
func parseMount(line string) (parsed mount, ok bool) {
	before, after, found := strings.Cut(line, " - ")
	fields, rest := strings.Fields(before), strings.Fields(after)
	if !found || len(fields) < 5 || len(rest) < 3 || (rest[0] != "cgroup" && rest[0] != "cgroup2") {
		return mount{}, false
	}
	return mount{kind: rest[0], root: fields[3], point: fields[4], options: strings.Split(rest[2], ",")}, true
}

// path is the folder of a cgroup. In a container without a cgroup namespace, paths begin at the machine's root, and the mount further down.
func (m mount) path(cgroup string) (string, error) {
	if m.root == "/" {
		return filepath.Join(m.point, cgroup), nil
	}
	below, err := filepath.Rel(m.root, cgroup)
	if err != nil || !filepath.IsLocal(below) {
		return "", fmt.Errorf("the cgroup of this process, %s, is not in what is mounted at %s", cgroup, m.point)
	}
	return filepath.Join(m.point, below), nil
}

func isWritable(folder string) error {
	if err := unix.Access(folder, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("%s can't be written: %w", folder, err)
	}
	return nil
}

// takesProcesses tells whether this process may move processes between the cgroups of version 2 below the folder.
func takesProcesses(folder string) bool {
	return !errors.Is(unix.Access(filepath.Join(folder, "cgroup.procs"), unix.W_OK), unix.EACCES)
}

func readWords(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}
