//go:build !unix

package nsqtcp

const canSendDirectly = false

func sendOnce(uintptr, []byte) int { return -1 }
