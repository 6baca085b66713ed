package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"
)

const seeds = 300

// outcomes crashes a disk with many seeds and counts what describe says of the results.
func outcomes(m *Mem, describe func(after *Mem) string) map[string]int {
	seen := map[string]int{}
	for seed := range uint64(seeds) {
		seen[describe(m.Crash(seed))]++
	}
	return seen
}

// only fails unless every outcome is among want, and each of want came up.
func only(t *testing.T, seen map[string]int, want ...string) {
	t.Helper()
	for _, w := range want {
		if seen[w] == 0 {
			t.Errorf("never came up: %q", w)
		}
	}
	for s, n := range seen {
		if !slices.Contains(want, s) {
			t.Errorf("came up %d times: %q", n, s)
		}
	}
}

func nameList(t testing.TB, dir string) func(*Mem) string {
	return func(m *Mem) string { return fmt.Sprint(must(m.ReadDir(dir))(t)) }
}

func pattern(b byte, n int) string { return string(bytes.Repeat([]byte{b}, n)) }

func TestSyncedDataAndNamesSurviveEveryCrash(t *testing.T) {
	m := NewMem(1)
	f := put(t, m, "/d/a", pattern('x', 20000))
	ok(t, f.Sync())
	ok(t, m.SyncDir("/d"))
	ok(t, m.SyncDir("/"))
	writeAt(t, f, pattern('y', 700), 30000) // not synced, elsewhere
	for seed := range uint64(seeds) {
		got := contents(t, m.Crash(seed), "/d/a")
		if len(got) < 20000 || string(got[:20000]) != pattern('x', 20000) {
			t.Fatalf("seed %d: synced bytes lost", seed)
		}
	}
}

func TestSectorsThatWereNotSyncedAreKeptDroppedOrTornEachByItself(t *testing.T) {
	m := NewMem(1)
	f := put(t, m, "/a", pattern('o', 4*sectorBytes))
	ok(t, m.SyncAll("/"))
	writeAt(t, f, pattern('n', 4*sectorBytes), 0)
	sector := func(p []byte) string {
		switch string(p) {
		case pattern('o', sectorBytes):
			return "old"
		case pattern('n', sectorBytes):
			return "new"
		}
		if len(bytes.Trim(p, "on")) == 0 {
			return "mixed"
		}
		return "garbage"
	}
	for i := range 4 {
		only(t, outcomes(m, func(after *Mem) string {
			return sector(contents(t, after, "/a")[i*sectorBytes:][:sectorBytes])
		}), "old", "new", "mixed", "garbage")
	}
	independent := outcomes(m, func(after *Mem) string {
		p := contents(t, after, "/a")
		return sector(p[:sectorBytes]) + " " + sector(p[sectorBytes:2*sectorBytes])
	})
	if independent["new old"] == 0 || independent["old new"] == 0 {
		t.Errorf("sectors are not independent: %v", independent)
	}
}

func TestDurableBytesInATornSectorStay(t *testing.T) {
	m := NewMem(1)
	f := put(t, m, "/a", pattern('o', 100))
	ok(t, m.SyncAll("/"))
	writeAt(t, f, pattern('n', 100), 100)
	for seed := range uint64(seeds) {
		if got := contents(t, m.Crash(seed), "/a"); string(got[:100]) != pattern('o', 100) {
			t.Fatalf("seed %d: got %q", seed, got[:100])
		}
	}
}

func TestSizesReachTheDiskInOrder(t *testing.T) {
	m := NewMem(1)
	f := put(t, m, "/a", pattern('o', 1000))
	ok(t, m.SyncAll("/"))
	ok(t, f.Truncate(300))
	writeAt(t, f, pattern('n', 100), 300)
	seen := outcomes(m, func(after *Mem) string {
		p := contents(t, after, "/a")
		if string(p[:300]) != pattern('o', 300) {
			t.Fatal("kept bytes changed")
		}
		switch n := len(p); {
		case n == 1000 && string(p) != pattern('o', 1000):
			return "old size, but not the old bytes"
		case n > 300 && n < 400:
			return "grown half way"
		case n == 400 && bytes.ContainsRune(p[300:], 'o'):
			return "cut bytes came back"
		default:
			return fmt.Sprint(n)
		}
	})
	delete(seen, "cut bytes came back") // garbage may by chance be an o
	only(t, seen, "1000", "300", "400", "grown half way")
}

func TestExtensionReadsZerosAfterACrash(t *testing.T) {
	m := NewMem(1)
	f := put(t, m, "/a", pattern('o', 9000))
	ok(t, m.SyncAll("/"))
	ok(t, f.Truncate(100))
	ok(t, f.Truncate(9000))
	for seed := range uint64(seeds) {
		p := contents(t, m.Crash(seed), "/a")
		if tail := bytes.Trim(p[100:], "\x00"); len(tail) > 0 && string(p) != pattern('o', 9000) {
			t.Fatalf("seed %d: %d bytes, %d of them came back", seed, len(p), len(tail))
		}
	}
}

func TestNewNameMayVanishUntilItsDirectoryIsSynced(t *testing.T) {
	m := NewMem(1)
	ok(t, put(t, m, "/a", "hello").Sync())
	only(t, outcomes(m, nameList(t, "/")), "[]", "[a]")

	m = NewMem(1)
	put(t, m, "/a", "hello")
	ok(t, m.SyncDir("/"))
	only(t, outcomes(m, nameList(t, "/")), "[a]")
}

func TestRemovedNameMayComeBackUntilItsDirectoryIsSynced(t *testing.T) {
	m := NewMem(1)
	put(t, m, "/a", "hello")
	ok(t, m.SyncAll("/"))
	ok(t, m.Remove("/a"))
	only(t, outcomes(m, nameList(t, "/")), "[]", "[a]")

	m = m.Kill()
	ok(t, m.SyncDir("/"))
	only(t, outcomes(m, nameList(t, "/")), "[]")
}

func TestRenameIsAtomic(t *testing.T) {
	m := NewMem(1)
	put(t, m, "/a", "new")
	put(t, m, "/b", "old")
	ok(t, m.SyncAll("/"))
	ok(t, m.Rename("/a", "/b"))
	only(t, outcomes(m, func(after *Mem) string {
		return nameList(t, "/")(after) + string(contents(t, after, "/b"))
	}), "[a b]old", "[b]new")
}

func TestRenameBetweenDirectoriesNeedsBothSynced(t *testing.T) {
	start := func() *Mem {
		m := NewMem(1)
		put(t, m, "/x/a", "hello")
		ok(t, m.MkdirAll("/y"))
		ok(t, m.SyncAll("/"))
		ok(t, m.Rename("/x/a", "/y/a"))
		return m
	}
	both := func(after *Mem) string { return nameList(t, "/x")(after) + nameList(t, "/y")(after) }
	for _, one := range []string{"/x", "/y"} {
		m := start()
		ok(t, m.SyncDir(one))
		only(t, outcomes(m, both), "[a][]", "[][a]")
	}
	m := start()
	ok(t, m.SyncDir("/x"))
	ok(t, m.SyncDir("/y"))
	only(t, outcomes(m, both), "[][a]")
}

func TestNamesOfOneDirectoryAreIndependentButOneNameKeepsItsOrder(t *testing.T) {
	m := NewMem(1)
	put(t, m, "/a", "")
	put(t, m, "/b", "")
	only(t, outcomes(m, nameList(t, "/")), "[]", "[a]", "[b]", "[a b]")

	m = NewMem(1)
	put(t, m, "/tmp", "")
	ok(t, m.Rename("/tmp", "/a"))
	only(t, outcomes(m, nameList(t, "/")), "[]", "[tmp]", "[a]")
}

func TestNameIsReusedOnlyIfWhatFreedItReachedTheDisk(t *testing.T) {
	m := NewMem(1)
	put(t, m, "/a", "old")
	ok(t, m.SyncAll("/"))
	ok(t, m.Rename("/a", "/b"))
	ok(t, put(t, m, "/a", "new").Sync())
	only(t, outcomes(m, func(after *Mem) string {
		out := ""
		for _, name := range must(after.ReadDir("/"))(t) {
			out += name + "=" + string(contents(t, after, name)) + " "
		}
		return out
	}), "a=old ", "b=old ", "a=new b=old ")
}

func TestSyncDirTakesAlongWhatItsNamesBuildOn(t *testing.T) {
	m := NewMem(1)
	put(t, m, "/x/a", "hello")
	ok(t, m.MkdirAll("/y"))
	ok(t, m.SyncAll("/"))
	ok(t, m.Rename("/x/a", "/y/a"))
	ok(t, m.Remove("/y/a"))
	ok(t, m.SyncDir("/y"))
	only(t, outcomes(m, nameList(t, "/x")), "[]")
}

func TestLostDirectoryTakesItsFilesAlong(t *testing.T) {
	m := NewMem(1)
	ok(t, put(t, m, "/d/a", "hello").Sync())
	ok(t, m.SyncDir("/d"))
	only(t, outcomes(m, nameList(t, "/")), "[]", "[d]")
}

func TestKillKeepsWhatWasWrittenButMakesNothingDurable(t *testing.T) {
	m := NewMem(1)
	old := put(t, m, "/a", "hello")
	lock := must(m.Lock("/lock"))(t)
	m2 := m.Kill()
	if got := string(contents(t, m2, "/a")); got != "hello" {
		t.Fatalf("got %q", got)
	}
	_, err := old.WriteAt([]byte("x"), 0)
	isErr(t, err, ErrCrashed)
	isErr(t, old.Sync(), ErrCrashed)
	_ = lock.Close() // of the dead process: must not matter
	ok(t, must(m2.Lock("/lock"))(t).Close())
	only(t, outcomes(m2, nameList(t, "/")), "[]", "[a]", "[lock]", "[a lock]")

	m3 := m2.Kill()
	f := must(m3.OpenWrite("/a"))(t)
	writeAt(t, f, "HE", 0)
	ok(t, f.Sync())
	ok(t, m3.SyncDir("/"))
	if got := string(contents(t, m3.Crash(1), "/a")); got != "HEllo" {
		t.Fatalf("got %q", got)
	}
	if got := string(contents(t, m.Kill(), "/a")); got != "hello" {
		t.Fatalf("writes to the later disk changed the earlier one: %q", got)
	}
}

func TestWhatWasNotSyncedBeforeAKillCanStillBeLostAfterIt(t *testing.T) {
	m := NewMem(1)
	f := put(t, m, "/a", "old")
	ok(t, m.SyncAll("/"))
	writeAt(t, f, "new", 0)
	m = m.Kill()
	seen := outcomes(m, func(after *Mem) string { return string(contents(t, after, "/a")) })
	if seen["old"] == 0 || seen["new"] == 0 {
		t.Errorf("outcomes %v", seen)
	}
	m = m.Kill()
	ok(t, must(m.OpenWrite("/a"))(t).Sync()) // what the next process does before it trusts the bytes
	only(t, outcomes(m, func(after *Mem) string { return string(contents(t, after, "/a")) }), "new")
}

func TestRemovedFileGivesItsSpaceBackOnce(t *testing.T) {
	m := NewMem(1)
	m.SetCapacity(4 * pageBytes)
	f := put(t, m, "/a", pattern('x', 3*pageBytes))
	ok(t, m.Remove("/a"))
	ok(t, f.Truncate(0))
	writeAt(t, f, pattern('x', 9*pageBytes), 0)
	if u := must(m.Usage("/"))(t); u.Free != 4*pageBytes {
		t.Fatalf("%d bytes free", u.Free)
	}
	put(t, m, "/b", pattern('x', 4*pageBytes))
	_, err := must(m.Create("/c"))(t).WriteAt([]byte("x"), 0)
	isErr(t, err, ErrNoSpace)
}

func TestCrashedDisksShareNothing(t *testing.T) {
	m := NewMem(1)
	f := put(t, m, "/a", pattern('o', 9000))
	ok(t, m.SyncAll("/"))
	_ = f
	one, two := m.Crash(1), m.Crash(2)
	writeAt(t, must(one.OpenWrite("/a"))(t), pattern('1', 5000), 0)
	for _, disk := range []*Mem{two, m.Crash(3)} {
		if got := contents(t, disk, "/a"); string(got) != pattern('o', 9000) {
			t.Fatal("a write reached another disk")
		}
	}
}

func TestSameSeedGivesSameCrash(t *testing.T) {
	build := func() *Mem {
		m := NewMem(7)
		for i := range 20 {
			put(t, m, fmt.Sprintf("/d%d/f%d", i%3, i), pattern(byte(i), 3000))
		}
		return m
	}
	describe := func(m *Mem) string {
		var out string
		for _, d := range must(m.ReadDir("/"))(t) {
			for _, f := range must(m.ReadDir(d))(t) {
				out += fmt.Sprintf("%s/%s %x\n", d, f, contents(t, m, d+"/"+f))
			}
		}
		return out
	}
	different := 0
	for seed := range uint64(20) {
		first := describe(build().Crash(seed))
		if first != describe(build().Crash(seed)) {
			t.Fatalf("seed %d gives two outcomes", seed)
		}
		if first != describe(build().Crash(seed+1)) {
			different++
		}
	}
	if different == 0 {
		t.Fatal("all seeds give the same outcome")
	}
}

func TestCrashAfterCutsTheNthOperation(t *testing.T) {
	prefixes := map[int]bool{}
	for seed := range uint64(seeds) {
		m := NewMem(seed)
		f := must(m.Create("/a"))(t)
		before := m.Ops()
		m.CrashAfter(3)
		writeAt(t, f, "a", 0)
		ok(t, f.Sync())
		_, err := f.WriteAt([]byte("0123456789"), 0)
		isErr(t, err, ErrCrashed)
		isErr(t, f.Sync(), ErrCrashed)
		_, err = m.Stat("/a")
		isErr(t, err, ErrCrashed)
		if !m.Stopped() || m.Ops() != before+3 {
			t.Fatalf("stopped %v after %d operations", m.Stopped(), m.Ops()-before)
		}
		got := contents(t, m.Kill(), "/a")
		if !bytes.HasPrefix([]byte("0123456789"), got) && string(got) != "a" {
			t.Fatalf("got %q", got)
		}
		prefixes[len(got)] = true
	}
	if len(prefixes) < 8 {
		t.Errorf("only prefixes %v", prefixes)
	}
}

func TestSyncCutShortMayOrMayNotHaveSynced(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(seeds) {
		m := NewMem(seed)
		put(t, m, "/a", "hello")
		m.CrashAfter(1)
		isErr(t, m.SyncDir("/"), ErrCrashed)
		for crash := range uint64(3) {
			seen[nameList(t, "/")(m.Crash(crash))]++
		}
	}
	only(t, seen, "[]", "[a]")
}

func TestCapacityRefusesNewBlocksOnly(t *testing.T) {
	m := NewMem(1)
	m.SetCapacity(3 * pageBytes)
	f := put(t, m, "/a", pattern('x', 2*pageBytes))
	n, err := f.WriteVec([][]byte{make([]byte, pageBytes), make([]byte, pageBytes)}, 2*pageBytes)
	isErr(t, err, ErrNoSpace)
	if n != pageBytes {
		t.Fatalf("wrote %d bytes, want %d", n, pageBytes)
	}
	if u := must(m.Usage("/"))(t); u.Free != 0 || u.Total != 3*pageBytes {
		t.Fatalf("got %+v", u)
	}
	writeAt(t, f, pattern('y', 2*pageBytes), 0) // blocks it has
	_, err = m.Crash(1).Stat("/a")
	if err != nil {
		isErr(t, err, fs.ErrNotExist)
	}

	m = m.Kill()
	f2 := must(m.OpenWrite("/a"))(t)
	_, err = f2.WriteAt([]byte("x"), 5*pageBytes)
	isErr(t, err, ErrNoSpace)
	ok(t, f2.Truncate(pageBytes))
	writeAt(t, f2, "x", 5*pageBytes)
	put(t, m, "/b", "x")
	_, err = f2.WriteAt([]byte("x"), 9*pageBytes)
	isErr(t, err, ErrNoSpace)
	ok(t, m.Remove("/b"))
	writeAt(t, f2, "x", 9*pageBytes)
	m.SetCapacity(0)
	writeAt(t, f2, "x", 20*pageBytes)
}

// TestRandomOperationsNeverLoseWhatWasSynced runs random files through many crashes, carrying on with what each left.
func TestRandomOperationsNeverLoseWhatWasSynced(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := NewMem(seed)
		synced := map[string]string{} // names and contents that are durable
		for range 5 {
			for range 30 {
				name := fmt.Sprintf("/f%d", rng.IntN(4))
				f, err := m.OpenWrite(name)
				if errors.Is(err, fs.ErrNotExist) {
					f, err = m.Create(name)
				}
				ok(t, err)
				if _, isSynced := synced[name]; isSynced { // append only, so that the synced part must stay
					writeAt(t, f, pattern(byte(rng.Uint32()), rng.IntN(3000)), must(f.Size())(t))
				} else {
					writeAt(t, f, pattern(byte(rng.Uint32()), rng.IntN(3000)), int64(rng.IntN(9000)))
				}
				if rng.IntN(4) == 0 {
					ok(t, f.Sync())
					ok(t, m.SyncDir("/"))
					synced[name] = string(contents(t, m, name))
				}
			}
			m = m.Crash(rng.Uint64())
			for name, want := range synced {
				if got := string(contents(t, m, name)); len(got) < len(want) || got[:len(want)] != want {
					t.Fatalf("seed %d: %s lost synced bytes", seed, name)
				}
			}
		}
	}
}

func BenchmarkCrash(b *testing.B) {
	m := NewMem(1)
	for i := range 4 {
		f := put(b, m, fmt.Sprintf("/f%d", i), pattern('x', 1<<20))
		ok(b, f.Sync())
		writeAt(b, f, pattern('y', 64<<10), 0)
	}
	b.ReportAllocs()
	for seed := range b.N {
		m.Crash(uint64(seed))
	}
}

func TestACloneAndItsOriginalShareNothingThatChanges(t *testing.T) {
	m := NewMem(1)
	file := put(t, m, "/a", "old")
	c := m.Clone()
	writeAt(t, file, "new", 0)
	ok(t, m.Rename("/a", "/b"))
	if got := string(contents(t, c, "/a")); got != "old" {
		t.Errorf("the clone holds %q", got)
	}
	writeAt(t, must(c.OpenWrite("/a"))(t), "two", 0)
	if got := string(contents(t, m, "/b")); got != "new" {
		t.Errorf("the original holds %q", got)
	}
}
