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
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// AttachRequest is the line that asks a supervisor, through its control pipe, to connect to a socket (AF_UNIX, SOCK_SEQPACKET) and attach whoever listens
// there to the container. The path is absolute; only what follows its last slash has to be short.
func AttachRequest(socket string) string { return attachVerb + socket + "\n" }

const attachVerb = "attach "

// PacketKind is the first byte of each packet on the socket of an attached client; the rest of the packet is its data.
type PacketKind byte

// Kinds of packets.
const (
	// PacketInput, from the client, is for the container's standard input. It is dropped where that isn't open.
	PacketInput PacketKind = 'i'
	// PacketCloseInput, from the client, closes the standard input for good. A terminal has no end, so there it does nothing.
	PacketCloseInput PacketKind = 'c'
	// PacketSize, from the client, is the size of its terminal: columns and rows, two bytes each, the high one first.
	PacketSize PacketKind = 's'
	// PacketStdout and PacketStderr, to the client, are what the container has printed.
	PacketStdout PacketKind = 'o'
	PacketStderr PacketKind = 'e'
	// PacketEnd, to the client, is the last one: the container has ended and this was all of its output. A connection that ends without it was cut.
	PacketEnd PacketKind = 'x'
)

// MaxPacket is the most data, in bytes, that a packet holds.
const MaxPacket = maxLine

const (
	// patience is for how long a client that takes nothing may hold up the container's output, and so the container. With a container runtime, it may
	// for ever; here the Job goes on, and the client is cut off.
	patience = 30 * time.Second
	// lastPatience is for how long a client may hold up the end of the supervisor. The buffers of the socket then have room for all that is left.
	lastPatience = time.Second
	// sendBuffer and lastBuffer are the sizes in bytes of a socket's buffer (the kernel doubles them), while the container runs and when it has ended. By then,
	// the first may be full, and each pipe of the container may hold 64 KiB. lastBuffer is what the kernel allows by default (net.core.wmem_max).
	sendBuffer = 32 << 10
	lastBuffer = 208 << 10
)

// clients are those attached to the container.
type clients struct {
	// terminal is the container's; nil: it has none. It doesn't change once the command runs.
	terminal *os.File

	mu       sync.Mutex
	attached []*client
	input    *os.File // what clients type goes there; nil: nowhere
	over     bool     // the command has ended
}

// client is one attached client.
type client struct {
	socket *os.File
	mu     sync.Mutex // sending
	cut    bool       // nothing is sent any more
}

// attach connects to the socket and serves who listens there, until he goes away. Nobody may be listening any more.
func (c *clients) attach(path string) {
	socket, err := connect(path)
	if err != nil {
		return
	}
	defer socket.Close()
	_ = setSendBuffer(socket, sendBuffer)
	added := &client{socket: socket}
	c.add(added)
	defer c.remove(added)
	packet := make([]byte, 1+MaxPacket)
	for {
		n, err := socket.Read(packet)
		if err != nil || n == 0 {
			return
		}
		c.obey(PacketKind(packet[0]), packet[1:n])
	}
}

// connect opens a socket to a path that may be longer than the 108 bytes of an address.
func connect(path string) (*os.File, error) {
	folder, err := os.OpenFile(dir(path), oPath|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), base(path))})
	if err == nil {
		err = syscall.SetNonblock(fd, true)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	return os.NewFile(uintptr(fd), "client"), nil
}

func setSendBuffer(socket *os.File, size int) error {
	connection, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := connection.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, size) })
	if controlErr != nil {
		return controlErr
	}
	return err
}

// obey does what a client wants. Data for a standard input that nobody reads waits here, and the client with it.
func (c *clients) obey(kind PacketKind, data []byte) {
	switch {
	case kind == PacketInput:
		c.mu.Lock()
		input := c.input
		c.mu.Unlock()
		if input != nil {
			_, _ = input.Write(data) // EPIPE: the container has closed it
		}
	case kind == PacketCloseInput && c.terminal == nil:
		c.closeInput()
	case kind == PacketSize && c.terminal != nil && len(data) == 4:
		// Nobody could do anything about a terminal of the wrong size.
		_ = ResizeTerminal(c.terminal, binary.BigEndian.Uint16(data), binary.BigEndian.Uint16(data[2:]))
	}
}

func (c *clients) closeInput() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.input != nil {
		_ = c.input.Close()
		c.input = nil
	}
}

// add makes a client one that output is sent to.
func (c *clients) add(added *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attached = append(c.attached, added)
}

func (c *clients) remove(gone *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attached = slices.DeleteFunc(c.attached, func(other *client) bool { return other == gone })
}

// printed sends a piece of the container's output, at most MaxPacket bytes, to all clients, the slowest of which is waited for.
func (c *clients) printed(kind PacketKind, data []byte) {
	c.mu.Lock()
	attached, wait := slices.Clone(c.attached), patience
	if c.over {
		wait = lastPatience
	}
	c.mu.Unlock()
	for _, client := range attached {
		client.send(kind, data, wait)
	}
}

// send sends a packet. A client that can't be sent one within the time is cut off: what came after a gap would mislead it.
func (c *client) send(kind PacketKind, data []byte, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return
	}
	_ = c.socket.SetWriteDeadline(time.Now().Add(wait))
	if _, err := c.socket.Write(append([]byte{byte(kind)}, data...)); err == nil {
		return
	}
	c.cut = true
	c.shutdown()
}

// shutdown ends the sending, which the client sees. What it sends is still taken.
func (c *client) shutdown() {
	if connection, err := c.socket.SyscallConn(); err == nil {
		_ = connection.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_WR) })
	}
}

// ended says that the command has ended: from now on no client may hold up anything, and there is room for all that is still to come.
func (c *clients) ended() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	for _, client := range c.attached {
		_ = setSendBuffer(client.socket, lastBuffer)
		_ = client.socket.SetWriteDeadline(time.Now().Add(lastPatience))
	}
}

// end tells all clients that this was all.
func (c *clients) end() { c.printed(PacketEnd, nil) }
