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
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"
)

// attachedClient returns a client as the supervisor sees it, and the client's own socket.
func attachedClient(t *testing.T, c *clients) *os.File {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	if err := setSendBuffer(ours, sendBuffer); err != nil {
		t.Fatal(err)
	}
	c.add(&client{socket: ours})
	return theirs
}

// received is how many bytes of output a client got, and what its connection ended with.
func received(t *testing.T, socket *os.File) (count int, ended bool) {
	t.Helper()
	packet := make([]byte, 1+MaxPacket)
	_ = socket.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		n, err := socket.Read(packet)
		switch {
		case err == nil && PacketKind(packet[0]) == PacketEnd:
			return count, true
		case err == nil:
			count += n - 1
		case errors.Is(err, io.EOF):
			return count, false
		default:
			t.Fatal(err)
		}
	}
}

// A client that takes nothing is cut off in the end, and holds up neither the others nor the container.
func TestClientThatTakesNothing(t *testing.T) {
	t.Parallel()
	c := &clients{}
	stuck, fine := attachedClient(t, c), attachedClient(t, c)
	const pieces = 64
	got := make(chan int, 1)
	go func() {
		count, _ := received(t, fine)
		got <- count
	}()
	piece := make([]byte, MaxPacket)
	for range pieces {
		for _, client := range c.attached {
			client.send(PacketStdout, piece, 100*time.Millisecond)
		}
	}
	c.attached[1].shutdown()
	if count := <-got; count != pieces*MaxPacket {
		t.Errorf("the other client got %d bytes of %d", count, pieces*MaxPacket)
	}
	if count, ended := received(t, stuck); ended || count == 0 || count >= pieces*MaxPacket {
		t.Errorf("the client got %d bytes, the end: %t", count, ended)
	}
}

// Once the command has ended, all that the pipes of a container still hold has room in the buffer of a client that takes nothing.
func TestClientThatTakesNothingAtTheEnd(t *testing.T) {
	t.Parallel()
	c := &clients{}
	stuck := attachedClient(t, c)
	piece := make([]byte, MaxPacket)
	sent := 0
	for fits(t, c.attached[0].socket) {
		sent += len(piece)
	}
	c.ended()
	for range 2 * (64 << 10) / MaxPacket {
		c.printed(PacketStdout, piece)
		sent += len(piece)
	}
	c.end()
	if count, ended := received(t, stuck); !ended || count != sent {
		t.Errorf("the client got %d bytes of %d, the end: %t", count, sent, ended)
	}
}

// fits sends one packet of output more, unless it would have to wait.
func fits(t *testing.T, socket *os.File) bool {
	t.Helper()
	connection, err := socket.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	packet := make([]byte, 1+MaxPacket)
	packet[0] = byte(PacketStdout)
	var sendErr error
	if err := connection.Control(func(fd uintptr) {
		sendErr = syscall.Sendto(int(fd), packet, syscall.MSG_DONTWAIT, nil)
	}); err != nil {
		t.Fatal(err)
	}
	if sendErr != nil && sendErr != syscall.EAGAIN {
		t.Fatal(sendErr)
	}
	return sendErr == nil
}
