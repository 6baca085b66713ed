//go:build process

package chaos

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

// machine is a network namespace and a mount namespace, and the thread that lives in them. Processes that the thread starts live there
// too. It has one network interface, whose packets are read from and written to tun.
type machine struct {
	address netip.Addr
	tun     *os.File
	calls   chan func()
}

// newMachine makes a machine with an address. Close takes it away; so does the end of this process.
func newMachine(address netip.Addr) (*machine, error) {
	m := &machine{address: address, calls: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine, and its namespaces with it
		err := syscall.Unshare(syscall.CLONE_NEWNET | syscall.CLONE_NEWNS)
		if err == nil {
			err = privateMounts()
		}
		if err == nil {
			m.tun, err = openInterface(address)
		}
		if ready <- err; err != nil {
			return
		}
		for call := range m.calls {
			call()
		}
	}()
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("make a machine with address %s: %w", address, err)
	}
	return m, nil
}

// do runs f on the machine's thread and waits: files, mounts, processes and sockets are the machine's.
func (m *machine) do(f func() error) error {
	result := make(chan error)
	m.calls <- func() { result <- f() }
	return <-result
}

func (m *machine) Close() {
	close(m.calls)
	m.tun.Close()
}

func privateMounts() error {
	return syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
}

// What <linux/if_tun.h> and <linux/sockios.h> name.
const (
	tunSetInterface = 0x400454ca
	tunPacketsOnly  = 0x1001 // IFF_TUN | IFF_NO_PI
	getFlags        = 0x8913
	setFlags        = 0x8914
	setAddress      = 0x8916
	setNetmask      = 0x891c
	interfaceUp     = syscall.IFF_UP
)

// interfaceRequest is struct ifreq.
type interfaceRequest struct {
	name  [16]byte
	value [24]byte
}

func request(name string) *interfaceRequest {
	var r interfaceRequest
	copy(r.name[:], name)
	return &r
}

func (r *interfaceRequest) flags() *uint16 { return (*uint16)(unsafe.Pointer(&r.value)) }

// withAddress sets the request's socket address.
func (r *interfaceRequest) withAddress(a [4]byte) *interfaceRequest {
	*r.flags() = syscall.AF_INET
	copy(r.value[4:], a[:])
	return r
}

func (r *interfaceRequest) call(fd int, command uintptr) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), command, uintptr(unsafe.Pointer(r))); errno != 0 {
		return fmt.Errorf("ioctl %#x of %s: %w", command, r.name[:4], errno)
	}
	return nil
}

// openInterface gives the network namespace of the calling thread its loopback interface and one with an address in a network of 256.
func openInterface(address netip.Addr) (*os.File, error) {
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	r := request("eth0")
	*r.flags() = tunPacketsOnly
	err = r.call(fd, tunSetInterface)
	if err == nil {
		err = configure(address)
	}
	if err != nil {
		syscall.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), nil // not earlier: only one with its interface can be polled
}

// configure sets the address and begins the traffic.
func configure(address netip.Addr) error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	if err := request("eth0").withAddress(address.As4()).call(socket, setAddress); err != nil {
		return err
	}
	if err := request("eth0").withAddress([4]byte{255, 255, 255, 0}).call(socket, setNetmask); err != nil {
		return err
	}
	for _, name := range []string{"lo", "eth0"} {
		r := request(name)
		if err := r.call(socket, getFlags); err != nil {
			return err
		}
		*r.flags() |= interfaceUp
		if err := r.call(socket, setFlags); err != nil {
			return err
		}
	}
	return nil
}
