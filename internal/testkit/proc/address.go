package proc

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
)

// Ports for daemons lie below those that the system gives to outgoing connections (from 32768 on): one of these would now and then
// take the port of a daemon that is about to start, or to start again.
const (
	lowestPort = 12_000
	ports      = 20_000
)

// taken counts the ports that this process has chosen, so that it never chooses one twice; it begins at a random one, firstPort.
var (
	taken     atomic.Uint32
	firstPort = rand.Uint32N(ports)
)

// FreeAddress returns a loopback address whose port nobody listened at a moment ago, and that no other call returns.
func FreeAddress() (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", lowestPort+(firstPort+taken.Add(1))%ports)
		ln, err := net.Listen("tcp", address)
		if err == nil {
			return address, ln.Close()
		}
	}
	return "", fmt.Errorf("no port from %d to %d is free", lowestPort, lowestPort+ports-1)
}
