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

package lineage

import (
	"strings"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	at := func(storage string, generation int64, cluster string) *Mark {
		return &Mark{Storage: storage, Generation: generation, Cluster: cluster, Made: time.Unix(generation*60, 0).UTC()}
	}
	const a, b = "aaaaaaaa-1111", "bbbbbbbb-2222"
	tests := map[string]struct {
		inEtcd, inCluster *Mark
		refused, token    string
	}{
		"the first start":                  {},
		"nothing has happened":             {inEtcd: at(a, 7, "here"), inCluster: at(a, 7, "here")},
		"the cluster has not heard yet":    {inEtcd: at(a, 9, "here"), inCluster: at(a, 7, "here")},
		"the ConfigMap is gone":            {inEtcd: at(a, 9, "here")},
		"restored from a backup":           {inEtcd: at(a, 6, "here"), inCluster: at(a, 7, "here"), refused: "etcd has data of 1970-01-01T00:06:00Z, which is older", token: "aaaaaaaa.6_aaaaaaaa.7"},
		"the disk is gone":                 {inCluster: at(a, 7, "here"), refused: "etcd is empty", token: "none_aaaaaaaa.7"},
		"another etcd":                     {inEtcd: at(b, 70, "here"), inCluster: at(a, 7, "here"), refused: "etcd has storage " + b, token: "bbbbbbbb.70_aaaaaaaa.7"},
		"another cluster":                  {inEtcd: at(a, 7, "there"), refused: "etcd has Jobs of another cluster", token: "aaaaaaaa.7_none"},
		"a cluster that knows other Jobs":  {inEtcd: at(a, 7, "there"), inCluster: at(b, 1, "here"), refused: "etcd has Jobs of another cluster", token: "aaaaaaaa.7_bbbbbbbb.1"},
		"the cluster's own data is as old": {inEtcd: at(a, 9, "here"), inCluster: at(a, 2, "here")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := judge(test.inEtcd, test.inCluster, "here")
			if !strings.HasPrefix(got.refused, test.refused) || (test.refused == "") != (got.refused == "") {
				t.Errorf("refused %q, want %q", got.refused, test.refused)
			}
			if got.token != test.token {
				t.Errorf("token %q, want %q", got.token, test.token)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	mark := first("here", time.Unix(1, 0))
	encoded, err := mark.encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decode(encoded); err != nil || *got != mark {
		t.Errorf("decode(encode(%v)) is %v, %v", mark, got, err)
	}
	if got, err := decode(""); got != nil || err != nil {
		t.Errorf("decode of nothing is %v, %v", got, err)
	}
	for _, bad := range []string{"x", "{}", `{"storage":"a","generation":0,"cluster":"c"}`} {
		if _, err := decode(bad); err == nil || !strings.HasPrefix(err.Error(), "read the mark ") {
			t.Errorf("decode of %s: %v", bad, err)
		}
	}
}
