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

package crash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// write is a kind of change of the stored objects, as far as the steps of a Job's life can be told apart.
type write string

// The writes that kills are aimed at. In the order of a Job's life.
const (
	jobCreated   write = "Job created"
	podCreated   write = "Pod created"
	podBound     write = "Pod bound"
	podRunning   write = "Pod running"
	podEnded     write = "Pod ended"
	jobNoted     write = "Job: ended Pods noted"
	podReleased  write = "Pod released"
	jobCounted   write = "Job: counters or other status"
	jobEnding    write = "Job: about to end"
	jobEnded     write = "Job ended"
	podDeleting  write = "Pod to be deleted"
	podDeleted   write = "Pod deleted"
	jobDeleting  write = "Job to be deleted"
	jobDeleted   write = "Job deleted"
	eventWritten write = "Event"
)

// aims are the writes that are hit in turn.
var aims = []write{
	jobCreated, podCreated, podBound, podRunning, podEnded, jobNoted, podReleased, jobCounted, jobEnding, jobEnded, podDeleting, podDeleted, jobDeleting,
	jobDeleted, eventWritten,
}

// wal reads the write-ahead log of an etcd, from outside and while it is written.
type wal struct {
	dir    string
	file   string
	offset int64
}

// errPart says that a record is not there as a whole yet.
var errPart = errors.New("a part of a record")

// next returns the writes that came since the last call.
func (w *wal) next() ([]write, error) {
	var writes []write
	for {
		files, err := filepath.Glob(filepath.Join(w.dir, "*.wal"))
		if err != nil || len(files) == 0 {
			return nil, err
		}
		slices.Sort(files)
		if w.file == "" {
			w.file = files[0]
		}
		more, err := w.read()
		if err != nil {
			return nil, err
		}
		writes = append(writes, more...)
		following := slices.Index(files, w.file) + 1
		if following == 0 || following == len(files) {
			return writes, nil
		}
		w.file, w.offset = files[following], 0
	}
}

// read reads on in the current file. Its unused rest holds zeros.
func (w *wal) read() ([]write, error) {
	file, err := os.Open(w.file)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var writes []write
	for {
		var head [8]byte
		if _, err := file.ReadAt(head[:], w.offset); err != nil {
			return writes, nil // the end of the file
		}
		// The length is in the lower 56 bits. The upper ones say how many bytes follow to the next multiple of eight.
		length := binary.LittleEndian.Uint64(head[:])
		size, padding := int64(length&(1<<56-1)), int64(0)
		if length>>63 == 1 {
			padding = int64(length >> 56 & 7)
		}
		if size == 0 {
			return writes, nil
		}
		record := make([]byte, size)
		if _, err := file.ReadAt(record, w.offset+8); err != nil {
			return writes, nil
		}
		kind, err := classifyRecord(record)
		if err != nil {
			return writes, nil
		}
		w.offset += 8 + size + padding
		if kind != "" {
			writes = append(writes, kind)
		}
	}
}

// classifyRecord returns what a record of the log writes; empty: nothing of interest.
func classifyRecord(record []byte) (write, error) {
	const entryType, typeField, dataField = 2, 1, 3
	fields, err := message(record)
	if err != nil || fields.number(typeField) != entryType {
		return "", err
	}
	entry, err := message(fields.first(dataField))
	if err != nil {
		return "", err
	}
	request, err := message(entry.first(4))
	if err != nil {
		return "", err
	}
	const txn, success, put, remove = 6, 2, 2, 3
	transaction, err := message(request.first(txn))
	if err != nil {
		return "", err
	}
	operation, err := message(transaction.first(success))
	if err != nil {
		return "", err
	}
	if deletion := operation.first(remove); deletion != nil {
		fields, err := message(deletion)
		return classify(string(fields.first(1)), nil, false), err
	}
	change, err := message(operation.first(put))
	if err != nil {
		return "", err
	}
	// Only an update says what to read should it fail.
	return classify(string(change.first(1)), change.first(2), transaction.first(3) == nil), nil
}

// classify tells what a change of the object at a key is; a nil value stands for a deletion.
func classify(key string, value []byte, created bool) write {
	kind, _, _ := strings.Cut(strings.TrimPrefix(key, "/registry/"), "/")
	switch {
	case kind == "events":
		return eventWritten
	case kind == "pods" && value == nil:
		return podDeleted
	case kind == "jobs" && value == nil:
		return jobDeleted
	case kind != "pods" && kind != "jobs":
		return ""
	}
	// k8s\0, and the object in an envelope.
	envelope, _ := message(bytes.TrimPrefix(value, []byte("k8s\x00")))
	object, _ := message(envelope.first(2))
	metadata, _ := message(object.first(1))
	spec, _ := message(object.first(2))
	status, _ := message(object.first(3))
	if kind == "pods" {
		return classifyPod(metadata, spec, status, created)
	}
	return classifyJob(metadata, status, created)
}

const deletionTimestamp, finalizers = 9, 14 // in ObjectMeta

func classifyPod(metadata, spec, status fields, created bool) write {
	const nodeName, phase = 10, 1
	ended := slices.Contains([]string{"Succeeded", "Failed"}, string(status.first(phase)))
	switch {
	case created:
		return podCreated
	case ended && metadata.first(finalizers) == nil:
		return podReleased
	case ended:
		return podEnded
	case metadata.first(deletionTimestamp) != nil:
		return podDeleting
	case string(status.first(phase)) == "Running":
		return podRunning
	case spec.first(nodeName) != nil:
		return podBound
	}
	return ""
}

func classifyJob(metadata, status fields, created bool) write {
	const conditions, uncounted = 1, 8
	if metadata.first(deletionTimestamp) != nil {
		return jobDeleting
	}
	ending := false
	for _, value := range status.all(conditions) {
		condition, _ := message(value)
		switch string(condition.first(1)) {
		case "Complete", "Failed":
			return jobEnded
		case "SuccessCriteriaMet", "FailureTarget":
			ending = true
		}
	}
	switch {
	case created:
		return jobCreated
	case len(status.first(uncounted)) > 0:
		return jobNoted
	case ending:
		return jobEnding
	}
	return jobCounted
}

// fields are those of a protobuf message, in their order.
type fields []field

type field struct {
	id     uint64
	number uint64
	bytes  []byte
}

// message splits a protobuf message. What is not as it should be, zeros above all, has not been written yet.
func message(data []byte) (fields, error) {
	var all fields
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		if n <= 0 || tag>>3 == 0 {
			return nil, errPart
		}
		data = data[n:]
		number, n := binary.Uvarint(data)
		if n <= 0 {
			return nil, errPart
		}
		data = data[n:]
		f := field{id: tag >> 3, number: number}
		switch tag & 7 {
		case 0:
		case 2:
			if number > uint64(len(data)) {
				return nil, errPart
			}
			f.bytes, data = data[:number:number], data[number:]
		default:
			return nil, errPart
		}
		all = append(all, f)
	}
	return all, nil
}

// first returns the bytes of the first field of that number; nil where there is none.
func (f fields) first(id uint64) []byte {
	for _, one := range f {
		if one.id == id {
			return one.bytes
		}
	}
	return nil
}

func (f fields) all(id uint64) [][]byte {
	var all [][]byte
	for _, one := range f {
		if one.id == id {
			all = append(all, one.bytes)
		}
	}
	return all
}

func (f fields) number(id uint64) uint64 {
	for _, one := range f {
		if one.id == id {
			return one.number
		}
	}
	return 0
}
