//go:build process

package chaos

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
)

// maxPacket is above what the interfaces send at a time.
const maxPacket = 2048

// wire carries packets between machines, each over the link of its pair and direction. Machine 0 is that of the clients; it is the test
// process's own network namespace.
type wire struct {
	machines []*machine
	links    [][]*link // [from][to]
	readers  sync.WaitGroup
}

// hostAddress is the address of a machine; all are in one network of 256.
func hostAddress(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, 0, byte(i + 1)}) }

// newWire makes machines for a number of nodes and connects them, and the clients.
func newWire(nodes int, rng *rand.Rand) (*wire, error) {
	w := &wire{}
	tun, err := openInterface(hostAddress(0))
	if err != nil {
		return nil, err
	}
	w.machines = append(w.machines, &machine{address: hostAddress(0), tun: tun, calls: make(chan func())})
	for i := range nodes {
		m, err := newMachine(hostAddress(i + 1))
		if err != nil {
			w.Close()
			return nil, err
		}
		w.machines = append(w.machines, m)
	}
	for range w.machines {
		var row []*link
		for _, to := range w.machines {
			row = append(row, newLink(to.tun, rng.Uint64()))
		}
		w.links = append(w.links, row)
	}
	for from, m := range w.machines {
		w.readers.Go(func() { w.read(m.tun, w.links[from]) })
	}
	return w, nil
}

// read gives what a machine sends to the links of their destinations.
func (w *wire) read(tun *os.File, links []*link) {
	packet := make([]byte, maxPacket)
	for {
		n, err := tun.Read(packet)
		if err != nil {
			return // closed
		}
		if n < 20 || packet[0]>>4 != 4 {
			continue // of IPv6
		}
		to := int(packet[19]) - 1
		if to >= 0 && to < len(links) {
			links[to].carry(packet[:n])
		}
	}
}

// Close takes the machines away and waits for what is on its way.
func (w *wire) Close() {
	for _, m := range w.machines {
		m.Close()
	}
	w.readers.Wait()
	for _, row := range w.links {
		for _, l := range row {
			l.close()
		}
	}
}

// heal gives all links back what they can.
func (w *wire) heal() {
	for _, row := range w.links {
		for _, l := range row {
			l.set(conditions{})
		}
	}
}

// cut stops packets from a to b; it is one-way.
func (w *wire) cut(a, b int) { w.links[a][b].set(conditions{cut: true}) }

// part stops packets between a and b.
func (w *wire) part(a, b int) {
	w.cut(a, b)
	w.cut(b, a)
}
