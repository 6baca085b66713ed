//go:build unix

package nsqtcp

import "syscall"

// hasDescriptors tells that a connection's descriptor can be read and written without the runtime's waiting.
const hasDescriptors = true

// sendOnce writes to a non-blocking descriptor; it returns -1 if nothing can be written now.
func sendOnce(fd uintptr, buf []byte) int {
	n, err := syscall.Write(int(fd), buf)
	if err != nil {
		return -1
	}
	return n
}

// receiveOnce reads from a non-blocking descriptor.
func receiveOnce(fd uintptr, buf []byte) (int, error) { return syscall.Read(int(fd), buf) }
