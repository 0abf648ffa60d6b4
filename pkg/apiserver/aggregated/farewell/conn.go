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

package farewell

import (
	"crypto/tls"
	"encoding/binary"
	"sync"
	"time"
)

// conn is a connection of an HTTP/2 server, which can say between two frames of the server's that the client should go.
type conn struct {
	*tls.Conn

	mu     sync.Mutex
	frames frames
	going  bool // to be told
	told   bool
}

// Write implements net.Conn.
func (c *conn) Write(content []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.Conn.Write(content)
	c.frames.pass(content[:n])
	if err == nil {
		err = c.tell()
	}
	return n, err
}

// goAway tells the client to open no more streams on this connection, now or behind the frame that is being written. Those that there are go on, and so does whatever the client
// has sent before it reads this.
func (c *conn) goAway() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.going = true
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return // it is closed
	}
	_ = c.tell() // the server finds a broken connection itself
	_ = c.Conn.SetWriteDeadline(time.Time{})
}

// tell writes the frame, where it may stand. c.mu is held.
func (c *conn) tell() error {
	if !c.going || c.told || !c.frames.between() {
		return nil
	}
	c.told = true
	_, err := c.Conn.Write(goAwayFrame())
	return err
}

// goAwayFrame is a GOAWAY with the highest stream that there could be and no error (RFC 9113, section 6.8).
func goAwayFrame() []byte {
	const lastStream, noError = 1<<31 - 1, 0
	frame := []byte{0, 0, 8, frameGoAway, 0, 0, 0, 0, 0}
	frame = binary.BigEndian.AppendUint32(frame, lastStream)
	return binary.BigEndian.AppendUint32(frame, noError)
}

// Numbers of HTTP/2's frames (RFC 9113, section 6).
const (
	frameHeader       = 9 // bytes
	frameHeaders      = 0x1
	framePushPromise  = 0x5
	frameGoAway       = 0x7
	frameContinuation = 0x9

	flagEndHeaders = 0x4
)

// frames follows what a server writes, to know where one frame ends and the next begins.
type frames struct {
	header []byte // of the frame that has begun
	rest   int    // bytes of its payload that are still to come
	open   bool   // it is followed by a CONTINUATION, and nothing may stand between
	some   bool   // there was a frame: the first has to be the server's SETTINGS
}

// pass takes note of what was written.
func (f *frames) pass(content []byte) {
	for len(content) > 0 {
		if f.rest > 0 {
			n := min(f.rest, len(content))
			f.rest -= n
			content = content[n:]
			continue
		}
		n := min(frameHeader-len(f.header), len(content))
		f.header = append(f.header, content[:n]...)
		content = content[n:]
		if len(f.header) == frameHeader {
			f.begin()
		}
	}
}

// begin takes note of a frame's header.
func (f *frames) begin() {
	f.rest = int(f.header[0])<<16 | int(f.header[1])<<8 | int(f.header[2])
	switch f.header[3] {
	case frameHeaders, framePushPromise, frameContinuation:
		f.open = f.header[4]&flagEndHeaders == 0
	}
	f.some, f.header = true, f.header[:0]
}

// between tells whether another frame may be written now.
func (f *frames) between() bool {
	return f.some && f.rest == 0 && len(f.header) == 0 && !f.open
}
