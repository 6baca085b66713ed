//go:build !unix

package nsqtcp

import "syscall"

const hasDescriptors = false

func sendOnce(uintptr, []byte) int { return -1 }

func receiveOnce(uintptr, []byte) (int, error) { return 0, syscall.EINVAL }
