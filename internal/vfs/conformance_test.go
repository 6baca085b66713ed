package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"
)

// conformance is what every FS must do, as a list of stories. Each runs in a directory of its own.
var conformance = []struct {
	name string
	run  func(t *testing.T, disk FS, dir string)
}{
	{"create, write, read back", func(t *testing.T, disk FS, dir string) {
		f := must(disk.Create(dir + "/a"))(t)
		writeAt(t, f, "hello", 0)
		writeAt(t, f, "world", 10000)
		ok(t, f.Sync())
		ok(t, disk.SyncDir(dir))
		ok(t, f.DropCache())
		if size := must(f.Size())(t); size != 10005 {
			t.Fatalf("size %d, want 10005", size)
		}
		want := append([]byte("hello"), make([]byte, 9995)...)
		if got := contents(t, disk, dir+"/a"); !bytes.Equal(got, append(want, "world"...)) {
			t.Fatalf("read back something else, %d bytes", len(got))
		}
		ok(t, f.Close())
	}},
	{"a read past the end is short with EOF", func(t *testing.T, disk FS, dir string) {
		f := must(disk.Create(dir + "/a"))(t)
		defer f.Close()
		writeAt(t, f, "hello", 0)
		p := make([]byte, 10)
		if n, err := f.ReadAt(p, 2); n != 3 || err != io.EOF {
			t.Fatalf("got %d, %v; want 3, EOF", n, err)
		}
		if n, err := f.ReadAt(p, 5); n != 0 || err != io.EOF {
			t.Fatalf("got %d, %v; want 0, EOF", n, err)
		}
		if n, err := f.ReadAt(p[:3], 2); n != 3 || (err != nil && err != io.EOF) {
			t.Fatalf("got %d, %v; want 3 bytes", n, err)
		}
	}},
	{"WriteVec joins its buffers, empty ones and thousands of them", func(t *testing.T, disk FS, dir string) {
		f := must(disk.Create(dir + "/a"))(t)
		defer f.Close()
		var bufs [][]byte
		var want []byte
		for i := range 3000 {
			b := bytes.Repeat([]byte{byte(i)}, i%7)
			bufs, want = append(bufs, b), append(want, b...)
		}
		n, err := f.WriteVec(bufs, 3)
		if n != len(want) || err != nil {
			t.Fatalf("got %d, %v; want %d", n, err, len(want))
		}
		if got := contents(t, disk, dir+"/a")[3:]; !bytes.Equal(got, want) {
			t.Fatal("read back something else")
		}
		if n, err := f.WriteVec(nil, 0); n != 0 || err != nil {
			t.Fatalf("writing nothing: %d, %v", n, err)
		}
		if n, err := f.WriteVec([][]byte{{}, {}}, 0); n != 0 || err != nil {
			t.Fatalf("writing empty buffers: %d, %v", n, err)
		}
	}},
	{"truncate cuts and extends with zeros", func(t *testing.T, disk FS, dir string) {
		f := must(disk.Create(dir + "/a"))(t)
		defer f.Close()
		writeAt(t, f, string(bytes.Repeat([]byte("x"), 9000)), 0)
		ok(t, f.Truncate(4100))
		ok(t, f.Truncate(9000))
		want := append(bytes.Repeat([]byte("x"), 4100), make([]byte, 4900)...)
		if !bytes.Equal(contents(t, disk, dir+"/a"), want) {
			t.Fatal("old bytes came back")
		}
		if err := f.Truncate(-1); err == nil {
			t.Fatal("negative size accepted")
		}
	}},
	{"missing and existing files are told", func(t *testing.T, disk FS, dir string) {
		_, err := disk.Open(dir + "/no")
		isErr(t, err, fs.ErrNotExist)
		_, err = disk.OpenWrite(dir + "/no")
		isErr(t, err, fs.ErrNotExist)
		_, err = disk.Create(dir + "/no/file")
		isErr(t, err, fs.ErrNotExist)
		_, err = disk.Stat(dir + "/no")
		isErr(t, err, fs.ErrNotExist)
		_, err = disk.ReadDir(dir + "/no")
		isErr(t, err, fs.ErrNotExist)
		isErr(t, disk.Remove(dir+"/no"), fs.ErrNotExist)
		isErr(t, disk.Rename(dir+"/no", dir+"/b"), fs.ErrNotExist)
		isErr(t, disk.SyncDir(dir+"/no"), fs.ErrNotExist)
		isErr(t, disk.SyncAll(dir+"/no"), fs.ErrNotExist)
		ok(t, disk.RemoveAll(dir+"/no"))
		ok(t, must(disk.Create(dir+"/a"))(t).Close())
		_, err = disk.Create(dir + "/a")
		isErr(t, err, fs.ErrExist)
	}},
	{"a file opened for reading refuses writes", func(t *testing.T, disk FS, dir string) {
		put(t, disk, dir+"/a", "hello")
		f := must(disk.Open(dir + "/a"))(t)
		defer f.Close()
		if _, err := f.WriteAt([]byte("x"), 0); err == nil {
			t.Fatal("write accepted")
		}
		if _, err := f.WriteVec([][]byte{[]byte("x")}, 0); err == nil {
			t.Fatal("vector write accepted")
		}
		if got := string(contents(t, disk, dir+"/a")); got != "hello" {
			t.Fatalf("file changed to %q", got)
		}
	}},
	{"a closed file refuses everything", func(t *testing.T, disk FS, dir string) {
		f := must(disk.Create(dir + "/a"))(t)
		ok(t, f.Close())
		_, writeErr := f.WriteVec([][]byte{[]byte("x")}, 0)
		_, readErr := f.ReadAt(make([]byte, 1), 0)
		_, sizeErr := f.Size()
		for i, err := range []error{writeErr, readErr, sizeErr, f.Sync(), f.Truncate(1), f.DropCache(), f.Close()} {
			if err == nil {
				t.Errorf("call %d succeeded", i)
			}
		}
	}},
	{"rename moves and replaces", func(t *testing.T, disk FS, dir string) {
		put(t, disk, dir+"/a", "new")
		put(t, disk, dir+"/b", "old")
		ok(t, disk.Rename(dir+"/a", dir+"/b"))
		if got := string(contents(t, disk, dir+"/b")); got != "new" {
			t.Fatalf("got %q", got)
		}
		ok(t, disk.MkdirAll(dir+"/sub/deep"))
		ok(t, disk.Rename(dir+"/b", dir+"/sub/deep/c"))
		ok(t, disk.Rename(dir+"/sub", dir+"/moved"))
		if got := string(contents(t, disk, dir+"/moved/deep/c")); got != "new" {
			t.Fatalf("got %q", got)
		}
		names(t, disk, dir, "moved")
	}},
	{"a removed or replaced file stays readable while open", func(t *testing.T, disk FS, dir string) {
		put(t, disk, dir+"/a", "hello")
		f := must(disk.Open(dir + "/a"))(t)
		defer f.Close()
		ok(t, disk.Remove(dir+"/a"))
		put(t, disk, dir+"/a", "other")
		p := make([]byte, 5)
		if _, err := f.ReadAt(p, 0); err != nil && err != io.EOF || string(p) != "hello" {
			t.Fatalf("got %q, %v", p, err)
		}
	}},
	{"directories list sorted, and only empty ones are removed", func(t *testing.T, disk FS, dir string) {
		put(t, disk, dir+"/d/c", "")
		put(t, disk, dir+"/d/a", "")
		ok(t, disk.MkdirAll(dir+"/d/b"))
		ok(t, disk.MkdirAll(dir+"/d/b"))
		names(t, disk, dir+"/d", "a", "b", "c")
		if info := must(disk.Stat(dir + "/d"))(t); !info.IsDir || info.Size != 0 {
			t.Fatalf("got %+v", info)
		}
		if err := disk.Remove(dir + "/d"); err == nil {
			t.Fatal("removed a directory with files")
		}
		if err := disk.MkdirAll(dir + "/d/a"); err == nil {
			t.Fatal("made a directory in a file's place")
		}
		ok(t, disk.Remove(dir+"/d/b"))
		ok(t, disk.RemoveAll(dir+"/d"))
		names(t, disk, dir)
	}},
	{"one lock at a time, also in one process", func(t *testing.T, disk FS, dir string) {
		l := must(disk.Lock(dir + "/lock"))(t)
		_, err := disk.Lock(dir + "/lock")
		isErr(t, err, ErrLocked)
		ok(t, l.Close())
		if err := l.Close(); err == nil {
			t.Error("closed a lock twice")
		}
		ok(t, must(disk.Lock(dir+"/lock"))(t).Close())
	}},
	{"usage is plausible and SyncAll works", func(t *testing.T, disk FS, dir string) {
		u := must(disk.Usage(dir))(t)
		if u.Total <= 0 || u.Free < 0 || u.Free > u.Total {
			t.Fatalf("got %+v", u)
		}
		ok(t, disk.SyncAll(dir))
	}},
}

func TestEveryFileSystemKeepsTheContract(t *testing.T) {
	disks := []struct {
		name string
		disk FS
	}{{"disk", Disk()}, {"mem", NewMem(1)}, {"fault without rules", NewFault(NewMem(1))}}
	for _, d := range disks {
		for _, story := range conformance {
			t.Run(d.name+"/"+story.name, func(t *testing.T) {
				dir := t.TempDir()
				ok(t, d.disk.MkdirAll(dir))
				story.run(t, d.disk, dir)
			})
		}
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		ok(t, err)
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func isErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func writeAt(t testing.TB, f File, s string, off int64) {
	t.Helper()
	if n, err := f.WriteAt([]byte(s), off); n != len(s) || err != nil {
		t.Fatalf("wrote %d of %d: %v", n, len(s), err)
	}
}

// put makes a file, and its directory, with a content that is not synced.
func put(t testing.TB, disk FS, name, content string) File {
	t.Helper()
	ok(t, disk.MkdirAll(name[:bytes.LastIndexByte([]byte(name), '/')]))
	f := must(disk.Create(name))(t)
	writeAt(t, f, content, 0)
	return f
}

func contents(t testing.TB, disk FS, name string) []byte {
	t.Helper()
	f := must(disk.Open(name))(t)
	defer f.Close()
	p := make([]byte, must(f.Size())(t))
	if n, err := f.ReadAt(p, 0); n != len(p) || err != nil && err != io.EOF {
		t.Fatalf("read %d of %d: %v", n, len(p), err)
	}
	return p
}

func names(t testing.TB, disk FS, dir string, want ...string) {
	t.Helper()
	if got := must(disk.ReadDir(dir))(t); !slices.Equal(got, want) {
		t.Fatalf("%s holds %q, want %q", dir, got, want)
	}
}
