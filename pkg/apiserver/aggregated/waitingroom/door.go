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

package waitingroom

import (
	"net"
	"sync"
)

// door takes connections from one listener and hands them to one of two others: waiting, until it is opened, and then serving.
type door struct {
	net.Listener
	waiting, serving *side

	mu     sync.Mutex
	opened bool
	once   sync.Once
	closed chan struct{}
}

func newDoor(listener net.Listener) *door {
	d := &door{Listener: listener, closed: make(chan struct{})}
	d.waiting = &side{door: d, conns: make(chan accepted), done: make(chan struct{})}
	d.serving = &side{door: d, conns: make(chan accepted), done: make(chan struct{}), owner: true}
	go d.run()
	return d
}

func (d *door) open() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened = true
}

func (d *door) side() *side {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opened {
		return d.serving
	}
	return d.waiting
}

// Close closes the listener.
func (d *door) Close() error {
	var err error
	d.once.Do(func() {
		close(d.closed)
		err = d.Listener.Close()
	})
	return err
}

func (d *door) run() {
	for {
		conn, err := d.Accept()
		if !d.hand(accepted{conn, err}) {
			return
		}
	}
}

// hand gives what was accepted to who is there, and tells whether to go on.
func (d *door) hand(next accepted) bool {
	for {
		side := d.side()
		select {
		case side.conns <- next:
			return true
		case <-side.done:
			if side.owner {
				next.close()
				return false
			}
			// Its server ended, as the door was opened.
		case <-d.closed:
			next.close()
			return false
		}
	}
}

// accepted is what Accept returned.
type accepted struct {
	conn net.Conn
	err  error
}

func (a accepted) close() {
	if a.conn != nil {
		_ = a.conn.Close() // nobody will speak over it
	}
}

// side is a listener of one of the two.
type side struct {
	*door
	conns chan accepted
	once  sync.Once
	done  chan struct{}
	owner bool // closes the real listener
}

// Accept implements net.Listener.
func (s *side) Accept() (net.Conn, error) {
	select {
	case next := <-s.conns:
		return next.conn, next.err
	case <-s.done:
		return nil, net.ErrClosed
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (s *side) Close() error {
	s.once.Do(func() { close(s.done) })
	if s.owner {
		return s.door.Close()
	}
	return nil
}

// Addr implements net.Listener.
func (s *side) Addr() net.Addr { return s.door.Addr() }
