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

package aggregated

import (
	"errors"
	"net"
	"sync"
	"time"
)

// dialTimeout bounds the connection to a server on the loopback.
const dialTimeout = 5 * time.Second

// gateway stands where a cluster has its network: connections end here and are carried to a server that listens. A test can make it slow, or
// have it swallow everything, as a broken network does.
type gateway struct {
	listener net.Listener

	mu        sync.Mutex
	addresses []string
	next      int
	swallow   bool
	delay     time.Duration
	conns     map[net.Conn]struct{}
	accepted  int
}

func newGateway() (*gateway, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gateway{listener: listener, conns: map[net.Conn]struct{}{}}
	go g.accept()
	return g, nil
}

func (g *gateway) port() int { return g.listener.Addr().(*net.TCPAddr).Port }

// leadTo says where the servers listen.
func (g *gateway) leadTo(addresses ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.addresses = addresses
}

// setSwallow makes the gateway a black hole: connections are made and bytes are taken, and nothing comes back. When it ends all
// connections do, as what they lost would confuse who uses them.
func (g *gateway) setSwallow(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.swallow = on
	if !on {
		g.closeAll()
	}
}

// setDelay makes everything late that passes, both ways.
func (g *gateway) setDelay(delay time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.delay = delay
}

// trouble is what happens to bytes now.
func (g *gateway) trouble() (swallow bool, delay time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.swallow, g.delay
}

func (g *gateway) closeAll() {
	for conn := range g.conns {
		_ = conn.Close()
	}
	clear(g.conns)
}

// close ends the gateway and all connections.
func (g *gateway) close() error {
	err := g.listener.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closeAll()
	return err
}

func (g *gateway) accept() {
	for {
		conn, err := g.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		g.mu.Lock()
		g.accepted++
		g.mu.Unlock()
		go g.carry(conn)
	}
}

// connections is how many connections were made since the beginning.
func (g *gateway) connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.accepted
}

func (g *gateway) carry(client net.Conn) {
	g.remember(client)
	defer g.forget(client)
	if swallow, _ := g.trouble(); swallow {
		g.pump(nil, client)
		return
	}
	server := g.dial()
	if server == nil {
		return
	}
	g.remember(server)
	defer g.forget(server)
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{server, client}, {client, server}} {
		go func() {
			g.pump(way[0], way[1])
			ended <- struct{}{}
		}()
	}
	<-ended
}

// dial connects to the next server that listens.
func (g *gateway) dial() net.Conn {
	g.mu.Lock()
	addresses, first := g.addresses, g.next
	g.next++
	g.mu.Unlock()
	for i := range addresses {
		if conn, err := net.DialTimeout("tcp", addresses[(first+i)%len(addresses)], dialTimeout); err == nil {
			return conn
		}
	}
	return nil
}

// pump copies from one connection to the other until either ends.
func (g *gateway) pump(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		swallow, delay := g.trouble()
		time.Sleep(delay)
		if n > 0 && to != nil && !swallow {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (g *gateway) remember(conn net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conns[conn] = struct{}{}
}

func (g *gateway) forget(conn net.Conn) {
	_ = conn.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, conn)
}
