//go:build process

package tools

import (
	"fmt"
	"syscall"
	"testing"
)

// hangUp is the signal that has nsq_to_file reopen its files.
const hangUp = syscall.SIGHUP

// smallDisk mounts a disk of so many bytes for the test. That needs root; without it the test is skipped.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}
