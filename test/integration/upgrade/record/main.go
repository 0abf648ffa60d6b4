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

// Command record writes down which Jobs a standalone server that runs without controllers has stored, for the tests that later versions read them.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/test/integration/upgrade"
)

func main() {
	dataDir := flag.String("data-dir", "", "data folder of the server")
	file := flag.String("file", "", "file to write, which must not be there: what a version has stored never changes")
	flag.Parse()
	if err := record(context.Background(), *dataDir, *file); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func record(ctx context.Context, dataDir, file string) error {
	if dataDir == "" || file == "" {
		return errors.New("-data-dir and -file are required")
	}
	etcd, err := apiserver.Etcd{Servers: []string{"unix://" + filepath.Join(dataDir, "etcd", "client.sock")}}.Client()
	if err != nil {
		return err
	}
	defer etcd.Close()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dataDir, "admin.kubeconfig"))
	if err != nil {
		return err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	jobs, err := upgrade.Record(ctx, etcd, kube.CoreV1().RESTClient())
	if err != nil {
		return err
	}
	content, err := json.MarshalIndent(jobs, "", "  ")
	if err != nil {
		return err
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = out.Write(append(content, '\n'))
	return errors.Join(err, out.Close())
}
