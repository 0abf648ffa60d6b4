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

package etcd

import (
	"fmt"
	"io"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newLogger makes etcd log its warnings and errors to a file that starts anew with each start of the server: etcd is chatty, and none of it
// helps who runs a Job. What ends etcd goes to end instead: zap would exit the process. What the file can't take, on a full disk, is lost.
func newLogger(path string, end zapcore.CheckWriteHook) (*zap.Logger, func() error, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open etcd log: %w", err)
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.ISO8601TimeEncoder
	core := zapcore.NewCore(zapcore.NewJSONEncoder(encoding), zapcore.Lock(file), zapcore.WarnLevel)
	return zap.New(core, zap.WithFatalHook(end), zap.WithPanicHook(end), zap.ErrorOutput(zapcore.AddSync(io.Discard))), file.Close, nil
}
