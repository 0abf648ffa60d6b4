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

package runtime

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// socketsFolder is the folder in the root folder that supervisors are asked to connect in.
const socketsFolder = "sockets"

// makeSocketFolder makes an empty folder for sockets: those that a killed agent left behind lead nowhere.
func makeSocketFolder(root string) (*os.File, error) {
	path := filepath.Join(root, socketsFolder)
	err := os.RemoveAll(path)
	if err == nil {
		err = os.Mkdir(path, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("make folder for sockets: %w", err)
	}
	folder, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("make folder for sockets: %w", err)
	}
	return folder, nil
}

// Attach implements Runtime.
func (p *Process) Attach(ctx context.Context, id ID, streams AttachStreams) error {
	if err := contextError(ctx); err != nil {
		return err
	}
	connection, err := p.connectSupervisor(ctx, id)
	if err != nil {
		return err
	}
	attached := &attachment{connection: connection, streams: streams}
	defer attached.leave()
	gone := make(chan error, 2) // why it is over: whoever is first decides
	go func() { gone <- p.attachmentEnd(id, attached.receive()) }()
	if streams.Resize != nil {
		go attached.resize()
	}
	if streams.Stdin != nil {
		attached.outlives = streams.StdinOnce
		go func() {
			if attached.sendInput() {
				gone <- nil
			}
		}()
	}
	select {
	case err := <-gone:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// attachmentEnd makes of the way in which the output ended what it means.
func (p *Process) attachmentEnd(id ID, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) && !p.supervised(id) {
		return nil // the supervisor was killed
	}
	return err
}

// connectTimeout bounds the wait for a supervisor to connect. It takes a millisecond on an idle machine.
const connectTimeout = 30 * time.Second

// connectSupervisor returns a connection with the supervisor of a running attempt.
func (p *Process) connectSupervisor(ctx context.Context, id ID) (*net.UnixConn, error) {
	ended := p.Done(id)
	if isDone(ended) {
		return nil, ErrNotRunning
	}
	name := fmt.Sprintf("%x.socket", socketNumber.Add(1))
	// An address holds 108 bytes, which the path of a data folder may have more of.
	address := &net.UnixAddr{Net: "unixpacket", Name: fmt.Sprintf("/proc/self/fd/%d/%s", p.sockets.Fd(), name)}
	listener, err := net.ListenUnix(address.Net, address)
	if err != nil {
		return nil, fmt.Errorf("attach to the container: %w", err)
	}
	defer listener.Close() // deletes it
	if err := p.sendControl(id, supervisor.AttachRequest(filepath.Join(p.root, socketsFolder, name))); err != nil {
		return nil, fmt.Errorf("attach to the container: %w", err)
	}
	connected := make(chan struct{})
	defer close(connected)
	go func() {
		select {
		case <-ctx.Done():
		case <-ended:
		case <-connected:
			return
		}
		_ = listener.SetDeadline(time.Now())
	}()
	_ = listener.SetDeadline(time.Now().Add(connectTimeout))
	connection, err := listener.AcceptUnix()
	switch {
	case err == nil:
		return connection, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case isDone(ended):
		return nil, ErrNotRunning
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errors.New("attach to the container: its supervisor doesn't answer")
	}
	return nil, fmt.Errorf("attach to the container: %w", err)
}

// socketNumber makes the names of sockets differ.
var socketNumber atomic.Uint64

// attachment is one client's connection with a container.
type attachment struct {
	connection *net.UnixConn
	streams    AttachStreams
	// outlives tells whether the input goes on when nobody waits for the output any more; over is true once either has ended.
	outlives bool
	over     atomic.Bool
}

// leave ends the output. Where the container is to have its standard input closed, the connection is left open until all of it was sent, whose end comes now that
// the client is gone.
func (a *attachment) leave() {
	if a.outlives && !a.over.Swap(true) {
		_ = a.connection.CloseRead()
		return
	}
	_ = a.connection.Close()
}

// receive passes the output on, to its end. It is io.ErrUnexpectedEOF where the supervisor cut the connection.
func (a *attachment) receive() error {
	packet := make([]byte, 1+supervisor.MaxPacket)
	for {
		n, err := a.connection.Read(packet)
		if err != nil || n == 0 {
			return errCutOff
		}
		to := a.streams.Stdout
		switch supervisor.PacketKind(packet[0]) {
		case supervisor.PacketEnd:
			return nil
		case supervisor.PacketStderr:
			to = a.streams.Stderr
		}
		if to == nil {
			continue
		}
		if _, err := to.Write(packet[1:n]); err != nil {
			return nil // the client is gone
		}
	}
}

// errCutOff is why output ends before the container does.
var errCutOff = fmt.Errorf("the container's output was not taken for too long: %w", io.ErrUnexpectedEOF)

// sendInput passes the input on to its end, and tells whether the attachment ends with it.
func (a *attachment) sendInput() bool {
	packet := make([]byte, 1+supervisor.MaxPacket)
	packet[0] = byte(supervisor.PacketInput)
	for {
		n, readErr := a.streams.Stdin.Read(packet[1:])
		if n > 0 {
			if _, err := a.connection.Write(packet[:1+n]); err != nil {
				break // the container has ended
			}
		}
		if readErr != nil {
			break
		}
	}
	if !a.streams.StdinOnce {
		return true
	}
	_, _ = a.connection.Write([]byte{byte(supervisor.PacketCloseInput)})
	if a.over.Swap(true) {
		_ = a.connection.Close()
	}
	return false
}

// resize passes sizes on, until the client sends no more.
func (a *attachment) resize() {
	for size := range a.streams.Resize {
		packet := []byte{byte(supervisor.PacketSize)}
		packet = binary.BigEndian.AppendUint16(packet, size.Width)
		packet = binary.BigEndian.AppendUint16(packet, size.Height)
		_, _ = a.connection.Write(packet) // the container may have ended
	}
}
