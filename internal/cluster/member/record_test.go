package member

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/testkit/bounded"
	"github.com/weirmq/weir/internal/vfs"
)

const (
	bootA = "0a0b0c0d-0102-0304-0506-0708090a0b0c"
	bootB = "1a0b0c0d-0102-0304-0506-0708090a0b0c"
)

// makeDir makes the data directory durably, as the store does.
func makeDir(disk vfs.FS) error {
	if err := disk.MkdirAll("data"); err != nil {
		return err
	}
	return disk.SyncDir(".")
}

func openBoot(t testing.TB, disk vfs.FS, boot string) *Record {
	t.Helper()
	if err := makeDir(disk); err != nil {
		t.Fatal(err)
	}
	r, err := Open(disk, "data", boot)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func open(t testing.TB, disk vfs.FS) *Record { return openBoot(t, disk, bootA) }

func testIdentity() Identity {
	return Identity{ClusterID: 7, Self: 1, Members: []Member{{1, "a", "10.0.0.1:4181", "a:4180"}, {2, "b", "10.0.0.2:4181", "b:4180"}}}
}

func TestLivesNeverRepeat(t *testing.T) {
	disk := vfs.NewMem(1)
	seen := make(map[uint32]bool)
	for i := range 20 {
		r := open(t, disk)
		if life := r.Life(); seen[life.Number] || life.Number == 0 || life.Nonce == 0 {
			t.Fatalf("start %d: life %+v again", i, life)
		} else {
			seen[life.Number] = true
		}
		disk = disk.Crash(uint64(i)) // what Open said must be durable
	}
}

func TestAnOlderCopyDoesNotRememberTheLivesSince(t *testing.T) {
	disk := vfs.NewMem(1)
	var lives []Life
	for range 3 {
		lives = append(lives, open(t, disk).Life())
	}
	copied, err := vfs.ReadFile(disk, "data/cluster", maxFileBytes)
	if err != nil {
		t.Fatal(err)
	}
	seen := open(t, disk).Life()
	backup := vfs.NewMem(2)
	if err := errors.Join(makeDir(backup), vfs.ReplaceFile(backup, "data/cluster", [][]byte{copied})); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		r := open(t, backup)
		for _, life := range append(lives, r.Life()) {
			if !r.Remembers(life) {
				t.Fatalf("start %d: life %v is forgotten", i, life)
			}
		}
		if r.Remembers(seen) {
			t.Fatalf("start %d of the copy remembers life %v", i, seen)
		}
		lives = append(lives, r.Life())
	}
	for range maxNonces {
		open(t, disk)
	}
	if r := open(t, disk); !r.Remembers(lives[0]) || len(r.content().nonces) != maxNonces {
		t.Error("lives of long ago are refused")
	}
}

func TestWhatIsRecordedSurvivesAPowerCut(t *testing.T) {
	disk := vfs.NewMem(1)
	if ok, err := Exists(disk, "data"); ok || err != nil {
		t.Fatalf("exists: %v, %v", ok, err)
	}
	r := open(t, disk)
	if _, ok := r.Identity(); ok {
		t.Fatal("an identity before there is one")
	}
	if err := r.promise(testIdentity(), 5); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Identity(); ok {
		t.Fatal("a promise is no identity")
	}
	other := testIdentity()
	other.ClusterID++
	if err := r.promise(other, 5); err == nil {
		t.Fatal("promised twice")
	}
	if err := r.form(); err != nil {
		t.Fatal(err)
	}
	for node := range catalog.NodeID(3) {
		if err := r.SeeLife(node+2, Life{uint32(node) + 10, 99}); err != nil {
			t.Fatal(err)
		}
	}
	disk = disk.Crash(4)
	r = open(t, disk)
	if v, ok := r.Identity(); !ok || !reflect.DeepEqual(v, testIdentity()) {
		t.Fatalf("got %+v, %v", v, ok)
	}
	if want := map[catalog.NodeID]Life{2: {10, 99}, 3: {11, 99}, 4: {12, 99}}; !reflect.DeepEqual(r.Lives(), want) {
		t.Fatalf("lives %v, want %v", r.Lives(), want)
	}
	if ok, err := Exists(disk, "data"); !ok || err != nil {
		t.Fatalf("exists: %v, %v", ok, err)
	}
}

func TestAnUncleanEndCountsOnlyAfterANewBoot(t *testing.T) {
	for what, c := range map[string]struct {
		clean       bool
		now         string
		wantSuspect bool
	}{
		"clean, same boot":      {true, bootA, false},
		"clean, new boot":       {true, bootB, false},
		"kill -9":               {false, bootA, false},
		"power cut":             {false, bootB, true},
		"boots are not told":    {false, "", true},
		"clean, boots not told": {true, "", false},
	} {
		disk := vfs.NewMem(1)
		r := open(t, disk)
		if r.LostUnsynced() {
			t.Errorf("%s: the first start has lost something", what)
		}
		if c.clean {
			if err := r.Stopped(); err != nil {
				t.Fatal(err)
			}
		}
		if got := openBoot(t, disk, c.now).LostUnsynced(); got != c.wantSuspect {
			t.Errorf("%s: %v", what, got)
		}
	}
}

func TestADamagedFileStopsTheNode(t *testing.T) {
	disk := vfs.NewMem(1)
	r := open(t, disk)
	if err := r.promise(testIdentity(), 5); err != nil {
		t.Fatal(err)
	}
	whole, err := vfs.ReadFile(disk, "data/cluster", maxFileBytes)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 1
		if err := vfs.ReplaceFile(disk, "data/cluster", [][]byte{damaged}); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(disk, "data", bootA); err == nil || !strings.Contains(err.Error(), "data/cluster") {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}

func TestTheMachineHasABootID(t *testing.T) {
	if _, err := os.Stat(bootIDFile); err != nil && runtime.GOOS != "linux" {
		t.Skip("no boot id here")
	}
	if id := BootID(); parseBootID(id) == [16]byte{} || id != BootID() {
		t.Fatalf("boot id %q", id)
	}
}

func testContent() *content {
	return &content{state: stateFormed, clean: true, life: 3, bootID: parseBootID(bootA), list: 5, identity: testIdentity(),
		lives: map[catalog.NodeID]Life{2: {9, 10}}, nonces: []uint64{11, 12}}
}

// The bytes are the disk format (docs/format/cluster.md) and what nodes of several versions say to each other: cases are only
// ever added.
func TestGoldenBytes(t *testing.T) {
	identity := "0000000000000007" + "0000000000000001" + "0002" +
		"0000000000000001" + "0161" + "0d31302e302e302e313a34313831" + "06613a34313830" +
		"0000000000000002" + "0162" + "0d31302e302e302e323a34313831" + "06623a34313830"
	offer := message{kind: kindOffer, clusterID: 7, list: 5, identity: testIdentity()}
	refuse := message{kind: kindRefuse, clusterID: 7, list: 5, text: "no"}
	for what, c := range map[string]struct {
		got  []byte
		want string
	}{
		"file": {testContent().encode(), "574549524e4f4445" + "01" + "02" + "01" + "00" + "00000003" +
			"0a0b0c0d0102030405060708090a0b0c" + "0000000000000005" + identity + "0001" + "0000000000000002" + "00000009" +
			"000000000000000a" + "0002" + "000000000000000b" + "000000000000000c" + "eb4ad02b"},
		"offer":  {offer.encode(), "0101" + "0000000000000007" + "0000000000000005" + identity},
		"refuse": {refuse.encode(), "0103" + "0000000000000007" + "0000000000000005" + "6e6f"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: got %s, want %s", what, got, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(testContent().encode())
	f.Add((&content{}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded.Memory(t, len(b), func() { decode(b) })
		c, err := decode(b)
		if err != nil {
			return
		}
		again, err := decode(c.encode())
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%+v became %+v, %v", c, again, err)
		}
	})
}

func FuzzMessage(f *testing.F) {
	offer := message{kind: kindOffer, clusterID: 7, list: 5, identity: testIdentity()}
	f.Add(offer.encode())
	f.Add((&message{kind: kindPromise, clusterID: 7}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded.Memory(t, len(b), func() { decodeMessage(b) })
		m, err := decodeMessage(b)
		if err != nil {
			return
		}
		again, err := decodeMessage(m.encode())
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}
