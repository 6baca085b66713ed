package registry

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
)

func TestRegistrationsAreBounded(t *testing.T) {
	r := New(Options{MaxEntries: 40})
	r.Identify("p", lookupwire.Peer{}, time.Time{})
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		err = r.Register("p", "t", fmt.Sprint("c", n))
	}
	if !errors.Is(err, ErrFull) || n < 15 || r.entries > 40 {
		t.Errorf("%d channels, %d entries, %v", n, r.entries, err)
	}
	if err := r.CreateTopic("another"); !errors.Is(err, ErrFull) {
		t.Errorf("a topic more: %v", err)
	}
	r.Disconnect("p")
	r.DeleteTopic("t")
	if r.entries != 0 {
		t.Errorf("%d entries are left", r.entries)
	}
}

func TestDumpNamesKeysAsNsqlookupd(t *testing.T) {
	now := time.Unix(1, 0)
	r := New(Options{MaxEntries: 100})
	r.Identify("1.2.3.4:5", lookupwire.Peer{BroadcastAddress: "b", HTTPPort: 4151}, now)
	if err := r.Register("1.2.3.4:5", "t", "c"); err != nil {
		t.Fatal(err)
	}
	r.Tombstone("t", "b:4151", now)
	dump := r.Dump()
	if len(dump) != 3 || len(dump["client::"]) != 1 || len(dump["channel:t:c"]) != 1 || len(dump["topic:t:"]) != 1 {
		t.Fatalf("got %+v", dump)
	}
	if e := dump["topic:t:"][0]; !e.Tombstoned || e.TombstonedTime != now || e.ID != "1.2.3.4:5" || e.LastUpdate != now {
		t.Errorf("got %+v", e)
	}
	if dump["channel:t:c"][0].Tombstoned {
		t.Error("the tombstone is of the topic, not of its channels")
	}
}
