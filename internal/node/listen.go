package node

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
)

// listen opens a listener at HOST:PORT, or, if there is a slash in address, at the path of a unix socket, with or without unix://
// before it. The socket of a process that has died is taken over; the file goes when the listener is closed.
func listen(address string) (net.Listener, error) {
	if !strings.Contains(address, "/") {
		return net.Listen("tcp", address)
	}
	path := strings.TrimPrefix(address, "unix://")
	ln, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) && isDeadSocket(path) {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
		ln, err = net.Listen("unix", path)
	}
	return ln, err
}

// isDeadSocket reports whether path is a socket at which nobody listens.
func isDeadSocket(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return false
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// port returns a listener's port, -1 if it has none.
func port(ln net.Listener) int {
	if ln == nil {
		return -1
	}
	if at, ok := ln.Addr().(*net.TCPAddr); ok {
		return at.Port
	}
	return -1
}
