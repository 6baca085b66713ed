//go:build unix

package nsqtcp

import "syscall"

const canSendDirectly = true

// sendOnce writes to a non-blocking descriptor; it returns -1 if nothing can be written now.
func sendOnce(fd uintptr, buf []byte) int {
	n, err := syscall.Write(int(fd), buf)
	if err != nil {
		return -1
	}
	return n
}
