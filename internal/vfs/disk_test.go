package vfs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFullDiskAndQuotaAreNoSpace(t *testing.T) {
	for _, errno := range []error{unix.ENOSPC, unix.EDQUOT} {
		err := diskError(&os.PathError{Op: "write", Path: "x", Err: errno})
		isErr(t, err, ErrNoSpace)
		isErr(t, err, errno)
	}
	if err := diskError(unix.EIO); errors.Is(err, ErrNoSpace) {
		t.Fatalf("got %v", err)
	}
}

func TestVectorsLongerThanTheSystemsLimitAreWrittenWhole(t *testing.T) {
	for limit := 1; limit < 8; limit++ {
		name := filepath.Join(t.TempDir(), "a")
		f := must(os.Create(name))(t)
		var bufs [][]byte
		var want []byte
		for i := range 20 {
			b := bytes.Repeat([]byte{'a' + byte(i)}, i%4)
			bufs, want = append(bufs, b), append(want, b...)
		}
		n, err := writeVec(int(f.Fd()), bufs, 0, limit)
		if got := must(os.ReadFile(name))(t); n != len(want) || err != nil || !bytes.Equal(got, want) {
			t.Fatalf("limit %d: wrote %d, %v: %q", limit, n, err, got)
		}
		ok(t, f.Close())
	}
}

// A file size limit makes the kernel write short and then fail, as a disk that fills up does.
func TestShortWriteThenErrorReportsWhatWasWritten(t *testing.T) {
	var old unix.Rlimit
	ok(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &old))
	f := must(Disk().Create(filepath.Join(t.TempDir(), "a")))(t)
	defer f.Close()
	ok(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 10, Max: old.Max}))
	n, err := f.WriteVec([][]byte{[]byte("01234"), []byte("56789abc"), []byte("def")}, 0)
	ok(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &old))
	if n != 10 || !errors.Is(err, unix.EFBIG) {
		t.Fatalf("wrote %d, %v; want 10 and EFBIG", n, err)
	}
	if got := string(contents(t, Disk(), f.(*diskFile).f.Name())); got != "0123456789" {
		t.Fatalf("file holds %q", got)
	}
}
