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

package nodeagent

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// The files of the machine by which names are resolved.
const (
	hostsFile      = "/etc/hosts"
	resolverConfig = "/etc/resolv.conf"
)

// What resolvers take of resolv.conf(5), as Kubernetes has it: name servers, domains, bytes of one domain, bytes of all with the spaces between them.
const (
	maxNameservers = 3
	maxSearches    = 32
	maxDomainBytes = 253
	maxSearchBytes = 2048
)

// nameFiles are the mounts of those files of name resolution that are the Pod's own, where its hostAliases or dnsConfig ask for it. All its containers share them, in
// a folder beside its volumes, whose names have no dots. Where a container mounts something else there itself, that stays. omitted says, in a kubelet's words, what the
// limits of resolvers left out.
func (a *Agent) nameFiles(pod *corev1.Pod, container *corev1.Container) (mounts []supervisor.Mount, omitted []string, err error) {
	for _, file := range []struct {
		path    string
		wanted  bool
		content func(machine []byte) []byte
	}{
		{hostsFile, len(pod.Spec.HostAliases) > 0, func(machine []byte) []byte { return hosts(machine, pod.Spec.HostAliases) }},
		{resolverConfig, pod.Spec.DNSConfig != nil, func(machine []byte) (content []byte) {
			content, omitted = resolver(machine, &pod.Spec)
			return content
		}},
	} {
		isOwn := func(mount corev1.VolumeMount) bool { return filepath.Clean(mount.MountPath) == file.path }
		if !file.wanted || slices.ContainsFunc(container.VolumeMounts, isOwn) {
			continue
		}
		machine, err := os.ReadFile(file.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("read how this machine resolves names: %w", err)
		}
		own := filepath.Join(a.runtime.VolumesDir(pod.UID), filepath.Base(file.path)+".file")
		if err := writeChanged(own, file.content(machine)); err != nil {
			return nil, nil, fmt.Errorf("write %s for the Pod: %w", file.path, err)
		}
		target := file.path
		if resolved, err := filepath.EvalSymlinks(target); err == nil {
			target = resolved // it is often a link, which nothing can be mounted on
		}
		mounts = append(mounts, supervisor.Mount{Source: own, Target: target})
	}
	return mounts, omitted, nil
}

// writeChanged writes a file unless it has the content already: another container may be reading it.
func writeChanged(path string, content []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return err
	}
	return os.Chmod(path, 0o644) // whatever the umask says
}

// hosts is what a kubelet makes of the machine's file for a Pod with the machine's network.
func hosts(machine []byte, aliases []corev1.HostAlias) []byte {
	var text bytes.Buffer
	text.WriteString("# Kubernetes-managed hosts file (host network).\n")
	text.Write(machine)
	text.WriteString("\n# Entries added by HostAliases.\n")
	for _, alias := range aliases {
		fmt.Fprintf(&text, "%s\t%s\n", alias.IP, strings.Join(alias.Hostnames, "\t"))
	}
	return text.Bytes()
}

// resolver adds the Pod's dnsConfig to what the machine has or, with the policy None, to nothing. An option of the Pod's replaces the machine's. What is more than
// resolvers take is left out, as omitted says.
func resolver(machine []byte, spec *corev1.PodSpec) (content []byte, omitted []string) {
	var servers, searches, options []string
	if spec.DNSPolicy != corev1.DNSNone {
		servers, searches, options = parseResolver(string(machine))
	}
	servers = appendMissing(servers, spec.DNSConfig.Nameservers...)
	searches = appendMissing(searches, spec.DNSConfig.Searches...)
	for _, option := range spec.DNSConfig.Options {
		text := option.Name
		if option.Value != nil && *option.Value != "" {
			text += ":" + *option.Value
		}
		options = setOption(options, text)
	}
	if len(servers) > maxNameservers {
		servers = servers[:maxNameservers]
		omitted = append(omitted, "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "+strings.Join(servers, " "))
	}
	if fitting := fittingSearches(searches); len(fitting) < len(searches) {
		searches = fitting
		omitted = append(omitted, "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "+strings.Join(searches, " "))
	}
	var text bytes.Buffer
	if len(searches) > 0 {
		fmt.Fprintf(&text, "search %s\n", strings.Join(searches, " "))
	}
	for _, server := range servers {
		fmt.Fprintf(&text, "nameserver %s\n", server)
	}
	if len(options) > 0 {
		fmt.Fprintf(&text, "options %s\n", strings.Join(options, " "))
	}
	return text.Bytes(), omitted
}

// fittingSearches are the first of the domains that resolvers take. glibc ends the process at one that is too long.
func fittingSearches(searches []string) []string {
	var fitting []string
	length := -1 // of no domain and no space
	for _, domain := range searches[:min(len(searches), maxSearches)] {
		if len(domain) > maxDomainBytes {
			continue
		}
		if length += 1 + len(domain); length > maxSearchBytes {
			break
		}
		fitting = append(fitting, domain)
	}
	return fitting
}

// parseResolver reads resolv.conf(5) as a kubelet does: name servers add up, the last list of domains counts, and the last one of each option.
func parseResolver(text string) (servers, searches, options []string) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			servers = append(servers, fields[1])
		case "search":
			searches = nil
			for _, domain := range fields[1:] {
				if domain != "." {
					searches = append(searches, strings.TrimSuffix(domain, "."))
				}
			}
		case "options":
			for _, option := range fields[1:] {
				options = setOption(options, option)
			}
		}
	}
	return servers, searches, options
}

// setOption replaces the option of the same name, or adds it.
func setOption(options []string, option string) []string {
	name, _, _ := strings.Cut(option, ":")
	at := slices.IndexFunc(options, func(other string) bool { return other == name || strings.HasPrefix(other, name+":") })
	if at < 0 {
		return append(options, option)
	}
	options[at] = option
	return options
}

func appendMissing(list []string, more ...string) []string {
	for _, item := range more {
		if !slices.Contains(list, item) {
			list = append(list, item)
		}
	}
	return list
}
