package vfs

import (
	"bytes"
	"testing"
)

// Power fails at each step of replacing a file: the old content is there or the new, whole.
func TestReplaceFileLeavesTheOldOrTheNew(t *testing.T) {
	before, after := bytes.Repeat([]byte("old"), 1000), bytes.Repeat([]byte("newer"), 1000)
	replaced := false
	for n := 1; !replaced; n++ {
		for seed := range uint64(5) {
			disk := NewMem(seed)
			ok(t, disk.MkdirAll("d"))
			ok(t, disk.SyncDir("."))
			ok(t, ReplaceFile(disk, "d/f", [][]byte{before}))
			disk.CrashAfter(n)
			err := ReplaceFile(disk, "d/f", [][]byte{after[:7], after[7:]})
			replaced = err == nil
			disk = disk.Crash(seed)
			got, readErr := ReadFile(disk, "d/f", 1<<20)
			ok(t, readErr)
			if !bytes.Equal(got, after) && (err == nil || !bytes.Equal(got, before)) {
				t.Fatalf("cut after %d, seed %d: %d bytes, %v", n, seed, len(got), err)
			}
			ok(t, ReplaceFile(disk, "d/f", [][]byte{after})) // over what the first attempt left
		}
	}
}

func TestReadFileIsBounded(t *testing.T) {
	disk := NewMem(1)
	ok(t, ReplaceFile(disk, "f", [][]byte{make([]byte, 100)}))
	for limit, want := range map[int64]int{99: 100, 100: 100, 10: 11, 1000: 100} {
		if got := must(ReadFile(disk, "f", limit))(t); len(got) != want {
			t.Errorf("limit %d: %d bytes, want %d", limit, len(got), want)
		}
	}
}
