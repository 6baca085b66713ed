package node

import (
	"net"
	"path/filepath"
	"testing"
)

func TestUnixSocketOfADeadProcessIsTakenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nsqd.sock")
	first, err := listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listen("unix://" + path); err == nil {
		t.Fatal("a socket in use was taken over")
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false) // as kill -9 leaves it
	first.Close()
	second, err := listen("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	if p := port(second); p != -1 {
		t.Errorf("a unix socket has port %d", p)
	}
	second.Close()
}
