package broker

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/queue"
	"github.com/weirmq/weir/internal/testkit/bounded"
)

// The bytes are the disk format (docs/format/control.md): cases are only ever added.
func TestControlGoldenBytes(t *testing.T) {
	for _, c := range []struct {
		entry control
		want  string
	}{
		{control{op: opCreateChannel, name: "mail"}, "02" + hex.EncodeToString([]byte("mail"))},
		{control{op: opDeleteChannel, channel: 300}, "03ac02"},
		{control{op: opPauseChannel, channel: 7, on: true}, "040701"},
		{control{op: opPauseChannel, channel: 7}, "040700"},
		{control{op: opEmptyChannel, channel: 7}, "0507"},
		{control{op: opPauseTopic, on: true}, "0601"},
		{control{op: opEmptyTopic}, "07"},
	} {
		if got := hex.EncodeToString(c.entry.encode()); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.entry, got, c.want)
		}
		got, err := decodeControl(c.entry.encode())
		if err != nil || got.op != c.entry.op || got.channel != c.entry.channel || got.name != c.entry.name || got.on != c.entry.on {
			t.Errorf("%+v decodes to %+v, %v", c.entry, got, err)
		}
	}
	progress := appendProgress(appendProgress([]byte{byte(opProgress)}, 300, []byte("ab")), 7, nil)
	if got, want := hex.EncodeToString(progress), "01"+"ac02"+"02"+"6162"+"07"+"00"; got != want {
		t.Errorf("progress: got %s, want %s", got, want)
	}
}

func FuzzDecodeControl(f *testing.F) {
	f.Add((&control{op: opCreateChannel, name: "mail"}).encode())
	f.Add((&control{op: opPauseChannel, channel: 7, on: true}).encode())
	f.Add(appendProgress([]byte{byte(opProgress)}, 300, []byte("ab")))
	f.Fuzz(func(t *testing.T, p []byte) {
		bounded.Memory(t, len(p), func() { decodeControl(p) })
		c, err := decodeControl(p)
		if err != nil {
			if !errors.Is(err, errMalformedControl) {
				t.Fatal(err)
			}
			return
		}
		if c.op != opProgress {
			again, err := decodeControl(c.encode())
			if err != nil || again.op != c.op || again.channel != c.channel || again.name != c.name || again.on != c.on {
				t.Fatalf("%+v becomes %+v, %v", c, again, err)
			}
			return
		}
		for rest := c.progress; len(rest) > 0; {
			_, delta, next, err := nextProgress(rest)
			if err != nil {
				return
			}
			if len(delta)+len(next) >= len(rest) {
				t.Fatal("no progress through the progress entry")
			}
			rest = next
		}
	})
}

// statePartition returns a partition without a log, to encode and decode states.
func statePartition() *partition {
	b := &Broker{}
	b.options.setDefaults()
	return newTopic(b, catalog.Topic{Name: "t", Partitions: 1}).parts[0]
}

func exampleState() []byte {
	p := statePartition()
	p.mu.dispatch = dispatch{next: 300, position: 200, paused: true, pausedAt: 250, durable: 1, backlog: []due{{210, 1_700_000_000_000}}}
	p.addLocked(newChannel(p, 5, "mail", queue.New(100, p.broker.queueOptions())))
	return p.appendStateLocked(nil)
}

func TestPartitionStateGoldenBytes(t *testing.T) {
	const want = "01" + "ac02" + "01" + "c801" + "fa01" + // format, next, flags, position, pausedAt
		"01" + "d201" + "80d095ffbc31" + // one deferred message of the backlog: 210, 1700000000000
		"01" + "05" + "04" + "6d61696c" // one channel: id 5, "mail", then its state
	got := hex.EncodeToString(exampleState())
	if len(got) < len(want) || got[:len(want)] != want {
		t.Fatalf("got %s, want %s and the channel's state", got, want)
	}
}

func FuzzDecodePartitionState(f *testing.F) {
	f.Add(exampleState())
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0})
	f.Add(relaysState())
	f.Fuzz(func(t *testing.T, state []byte) {
		// The shortest channel that takes the 4 MiB which one may is 15 bytes long (queue.Decode); twice as much with the race detector.
		budget := bounded.Budget{BaseBytes: 1 << 20, BytesPerByte: 8 << 20 / 15}
		budget.Memory(t, len(state), func() { statePartition().Restore(state, 1) })
		p := statePartition()
		if p.Restore(state, 1) != nil {
			return
		}
		encoded := p.appendStateLocked(nil)
		q := statePartition()
		if err := q.Restore(encoded, 1); err != nil {
			t.Fatalf("what was decoded and encoded cannot be decoded: %v", err)
		}
		if !bytes.Equal(encoded, q.appendStateLocked(nil)) {
			t.Fatal("the state changes when it is decoded and encoded")
		}
	})
}
