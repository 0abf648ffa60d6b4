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

package doctor

import (
	"strings"
)

// judgeDiscovery judges the whole way: a request through the cluster's API server to ours and back.
func judgeDiscovery(options Options, facts Facts) Finding {
	response := facts.Discovery
	switch {
	case response.Err != nil:
		return unknown("asking for %s: %v", options.GroupVersion, response.Err)
	case response.Code == 200:
		return good("%s answers through the cluster's API server", options.GroupVersion)
	case response.Code == 401:
		return bad(frontProxyCertificate(), "our server does not believe the cluster's API server (401): front-proxy certificate or headers")
	case response.Code == 403:
		return bad(grantRights(options, facts), "our server may not ask the cluster what callers may do (403): %s", message(response.Body))
	case response.Code == 404:
		return bad(advise("see the link of the APIService"), "the cluster's API server does not know %s (404)", options.GroupVersion)
	default:
		return bad(advise("see the bad links above and below; %s", readLog(options)), "the answer is %d: %s", response.Code, message(response.Body))
	}
}

// judgeHealth judges what our server says of itself: etcd, caches, controllers.
func judgeHealth(options Options, facts Facts) Finding {
	response := facts.Readyz
	switch {
	case response.Err != nil:
		return unknown("not visible from this machine: %v", response.Err)
	case response.Code == 200:
		return good("all %d checks of /readyz pass, etcd among them", strings.Count(response.Body, "[+]"))
	}
	var failing []string
	for line := range strings.Lines(response.Body) {
		if failed, ok := strings.CutPrefix(strings.TrimSpace(line), "[-]"); ok {
			failing = append(failing, failed)
		}
	}
	if len(failing) == 0 {
		return unknown("/readyz answers %d: %s", response.Code, firstLine(response.Body))
	}
	return bad(healthCure(options, facts, strings.Join(failing, "\n")), "/readyz: %s", strings.Join(failing, "; "))
}

// healthCure says what mends a server that is not ready, by the checks that fail.
func healthCure(options Options, facts Facts, failing string) Cure {
	switch {
	case strings.Contains(failing, "the data in etcd"):
		return advise("see the link of the data")
	case strings.Contains(failing, "etcd"):
		return advise("check --etcd-servers and its certificates, and the members of etcd: etcdctl endpoint health --cluster; the server needs no restart; %s", readLog(options))
	case strings.Contains(failing, "the cluster's API server"):
		// It reads who is to be believed, and goes on when it has.
		return grantRights(options, facts)
	default:
		return advise("%s", readLog(options))
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
