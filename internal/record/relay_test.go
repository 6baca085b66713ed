package record

import (
	"encoding/hex"
	"errors"
	"testing"
)

// The bytes are the disk format (docs/format/batch.md): cases are only ever added.
func TestRelayGoldenBytes(t *testing.T) {
	for _, c := range []struct {
		relay Relay
		want  string // producer id, epoch, base sequence
	}{
		{Relay{Node: 3, Life: 7, Sequence: 1}, "4000000300000007" + "0000" + "00000001"},
		{Relay{Node: relayNodeMax, Life: 1<<32 - 1, Sequence: RelaySequenceMax}, "7fffffffffffffff" + "ffff" + "ffffffff"},
	} {
		var builder Builder
		builder.Append([]byte("body"), 0)
		b := builder.Finish(1)
		if _, ok := b.Relay(); ok {
			t.Error("a batch of nobody's has a relay")
		}
		b.SetRelay(c.relay)
		if err := b.Verify(); err != nil {
			t.Error(err)
		}
		if got := hex.EncodeToString(b[atProducerID:atCount]); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.relay, got, c.want)
		}
		if got, ok := b.Relay(); !ok || got != c.relay {
			t.Errorf("%+v is read as %+v, %v", c.relay, got, ok)
		}
		if err := Merge(&builder, b); !errors.Is(err, ErrNotPlain) {
			t.Errorf("merge: %v, want ErrNotPlain", err)
		}
	}
}
