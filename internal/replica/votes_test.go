package replica

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/vfs"
)

// A vote that was reported stored is there after a power cut at any operation; one that was not may be there or not, never torn.
func TestAStoredVoteOutlivesAPowerCut(t *testing.T) {
	id := broker.LogID{Topic: 1, Partition: 2}
	total := 0
	run := func(n int, seed uint64) (disk *vfs.Mem, stored uint64) {
		disk = vfs.NewMem(seed)
		before := disk.Ops()
		if n > 0 {
			disk.CrashAfter(n)
		}
		v, err := openVotes(disk, ".", false)
		if err != nil {
			return disk, 0
		}
		defer v.close()
		for term := uint64(1); term <= 5; term++ {
			if v.store(id, vote{1, term, term % 3}) != nil {
				return disk, stored
			}
			stored = term
		}
		total = disk.Ops() - before
		return disk, stored
	}
	run(0, 1)
	for n, last := 1, total; n <= last; n++ {
		for seed := range uint64(8) {
			disk, stored := run(n, seed)
			v, err := openVotes(disk.Crash(seed), ".", false)
			if err != nil {
				t.Fatalf("operation %d seed %d: %v", n, seed, err)
			}
			if got, _ := v.get(id); got.term < stored || got.term > stored+1 || got.vote != got.term%3 {
				t.Fatalf("operation %d seed %d: stored term %d, found %+v", n, seed, stored, got)
			}
			v.close()
		}
	}
}

func TestVotesAreWrittenAnewWhenMostAreOutOfDate(t *testing.T) {
	disk := vfs.NewMem(1)
	if _, err := openVotes(disk, ".", true); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Fatalf("votes that were lost: %v", err)
	}
	v, err := openVotes(disk, ".", false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(votesSlack + 10) {
		if err := v.store(broker.LogID{Topic: i % 3}, vote{1, i, 0}); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.store(broker.LogID{Topic: 2}, vote{}); err != nil {
		t.Fatal(err)
	}
	v.close()
	info, err := disk.Stat(votesName)
	if err != nil || info.Size > votesSlack*voteBytes {
		t.Fatalf("%d bytes, %v", info.Size, err)
	}
	if v, err = openVotes(disk, ".", true); err != nil {
		t.Fatal(err)
	}
	defer v.close()
	if len(v.stored) != 2 || v.stored[broker.LogID{Topic: 0}].term != votesSlack+8-(votesSlack+8)%3 {
		t.Fatalf("found %v", v.stored)
	}
}

// One damaged byte anywhere loses no vote, not even in the last record, which might be one that a power cut tore. Where both copies of a
// record are damaged and others follow, the file is refused.
func TestADamagedVoteIsNotForgotten(t *testing.T) {
	disk := vfs.NewMem(1)
	v, err := openVotes(disk, ".", false)
	if err != nil {
		t.Fatal(err)
	}
	const logs = 3
	for i := range uint64(logs) {
		if err := v.store(broker.LogID{Topic: i}, vote{1, 4, 1}); err != nil {
			t.Fatal(err)
		}
	}
	v.close()
	whole, err := vfs.ReadFile(disk, votesName, math.MaxInt64-1)
	if err != nil {
		t.Fatal(err)
	}
	for pos := votesHeaderBytes; pos < len(whole); pos++ {
		b := bytes.Clone(whole)
		b[pos] ^= 0x10
		got := &votes{stored: make(map[broker.LogID]vote)}
		if err := got.decode(b); err != nil || len(got.stored) != logs || got.stored[broker.LogID{Topic: 2}].term != 4 {
			t.Fatalf("byte %d damaged: %v, %v", pos, got.stored, err)
		}
	}
	for copies := range 2 {
		whole[votesHeaderBytes+(2+copies)*voteBytes+20] ^= 1
	}
	got := &votes{stored: make(map[broker.LogID]vote)}
	if err := got.decode(whole); err == nil || !strings.Contains(err.Error(), fmt.Sprint("byte ", votesHeaderBytes+2*voteBytes)) {
		t.Fatalf("both copies damaged: %v", err)
	}
}

func TestAFailedSyncOfVotesIsFinalAlsoOnAFullDisk(t *testing.T) {
	fault := vfs.NewFault(vfs.NewMem(1))
	v, err := openVotes(fault, ".", false)
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	fault.Add(vfs.Rule{Op: vfs.OpSync, Times: 1, Err: vfs.ErrNoSpace})
	for range 2 {
		if err := v.store(broker.LogID{Topic: 7}, vote{1, 1, 1}); err == nil {
			t.Fatal("a vote is stored though its sync failed")
		}
	}
}

// A file that is cut anywhere is refused, or is what it was before its last rounds.
func TestVotesThatAreCutOrZeroedAreRefusedOrOlder(t *testing.T) {
	disk := vfs.NewMem(1)
	v, err := openVotes(disk, ".", false)
	if err != nil {
		t.Fatal(err)
	}
	for term := range uint64(6) {
		if err := v.store(broker.LogID{Topic: term % 2}, vote{1, term + 1, 1}); err != nil {
			t.Fatal(err)
		}
	}
	v.close()
	whole, err := vfs.ReadFile(disk, votesName, math.MaxInt64-1)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for pos := range len(whole) {
		zeroed := bytes.Clone(whole)
		clear(zeroed[pos:min(len(whole), pos+2*voteBytes)])
		for what, b := range map[string][]byte{"cut": whole[:pos], "zeroed": zeroed} {
			got := &votes{stored: make(map[broker.LogID]vote)}
			if err := got.decode(b); err != nil {
				if !strings.Contains(err.Error(), "damaged at byte") {
					t.Fatalf("%s at %d: %v", what, pos, err)
				}
				refused++
				continue
			}
			for topic, x := range got.stored {
				if x.term%2 != (topic.Topic+1)%2 || x.term > 6 || what == "zeroed" && x.term < 4 {
					t.Fatalf("%s at %d: topic %d has %+v", what, pos, topic.Topic, x)
				}
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

// Many replicas vote at once when a node dies. If the power goes before that round is synced, any of its records may be torn and
// any may be whole: nothing was promised, and the node starts.
func TestTheLastRoundOfVotesMayBeTornAnywhere(t *testing.T) {
	for seed := range uint64(40) {
		disk := vfs.NewMem(seed)
		v, err := openVotes(disk, ".", false)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.store(broker.LogID{Topic: 7}, vote{1, 1, 1}); err != nil {
			t.Fatal(err)
		}
		for i := range uint64(300) {
			v.waiting = append(v.waiting, voteChange{broker.LogID{Topic: 100 + i}, vote{1, 2, 1}, func(error) {}})
		}
		disk.CrashAfter(2) // the sync, behind the write
		v.wake()
		_ = v.close()
		after, err := openVotes(disk.Crash(seed), ".", false)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if x, _ := after.get(broker.LogID{Topic: 7}); x.term != 1 {
			t.Fatalf("seed %d: what was synced before is lost: %+v", seed, x)
		}
		after.close()
	}
}

// A disk that is full when the file should be written anew holds up votes until there is room, no longer.
func TestAFullDiskDoesNotEndTheVotes(t *testing.T) {
	disk := vfs.NewMem(1)
	v, err := openVotes(disk, ".", false)
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	id := broker.LogID{Topic: 1}
	term := uint64(0)
	next := func() {
		t.Helper()
		term++
		if err := v.store(id, vote{1, term, 1}); err != nil {
			t.Fatalf("term %d: %v", term, err)
		}
	}
	for v.records < votesSlack {
		next()
	}
	disk.SetCapacity(1)
	room := time.AfterFunc(100*time.Millisecond, func() { disk.SetCapacity(0) })
	defer room.Stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			next()
		}
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("votes are not stored though there is room again")
	}
}
