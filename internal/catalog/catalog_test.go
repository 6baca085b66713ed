package catalog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

func apply(t *testing.T, c *Catalog, command []byte) {
	t.Helper()
	if err := c.Apply(command); err != nil {
		t.Fatal(err)
	}
}

func TestCreateOfAnExistingNameKeepsTheFirst(t *testing.T) {
	c := New()
	apply(t, c, EncodeCreate(Topic{Name: "a", ID: 1, Partitions: 1}))
	apply(t, c, EncodeCreate(Topic{Name: "a", ID: 2, Partitions: 1}))
	if got, _ := c.Topic("a"); got.ID != 1 {
		t.Fatalf("topic a has id %d, want the first, 1", got.ID)
	}
}

func TestDeleteNamesAnIncarnation(t *testing.T) {
	c := New()
	old := Topic{Name: "a", ID: 1, Partitions: 1}
	apply(t, c, EncodeCreate(old))
	apply(t, c, EncodeDelete(old))
	apply(t, c, EncodeCreate(Topic{Name: "a", ID: 2, Partitions: 1}))
	apply(t, c, EncodeDelete(old)) // late: must not hit the new incarnation
	if got, ok := c.Topic("a"); !ok || got.ID != 2 {
		t.Fatalf("got %v %v, want incarnation 2", got, ok)
	}
}

func TestStateSurvivesEncoding(t *testing.T) {
	c := New()
	for i, name := range []string{"zz", "a", "m.n-o_p"} {
		apply(t, c, EncodeCreate(Topic{Name: name, ID: uint64(i + 1), Partitions: uint16(i + 1)}))
	}
	d, err := Decode(c.AppendState(nil))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(c.AppendState(nil), d.AppendState(nil)) || len(d.Topics()) != 3 {
		t.Fatalf("got %v, want %v", d.Topics(), c.Topics())
	}
}

// The bytes are the disk format (docs/format/control.md): cases are only ever added.
func TestGoldenBytes(t *testing.T) {
	topic := Topic{Name: "orders", ID: 0x0102030405060708, Partitions: 3}
	for what, c := range map[string]struct {
		got  []byte
		want string
	}{
		"create": {EncodeCreate(topic), "01" + "0102030405060708" + "0003" + "06" + hex.EncodeToString([]byte("orders"))},
		"delete": {EncodeDelete(topic), "02" + "0102030405060708" + "0003" + "06" + hex.EncodeToString([]byte("orders"))},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: got %s, want %s", what, got, c.want)
		}
	}
}

func TestMalformedInputIsRefused(t *testing.T) {
	whole := EncodeCreate(Topic{Name: "orders", ID: 1, Partitions: 1})
	for n := range len(whole) {
		if err := New().Apply(whole[:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("command cut to %d bytes: %v", n, err)
		}
	}
	if err := New().Apply(append(whole, 0)); !errors.Is(err, ErrMalformed) {
		t.Fatalf("command with a byte too many: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	c := New()
	_ = c.Apply(EncodeCreate(Topic{Name: "orders", ID: 1, Partitions: 1}))
	f.Add(c.AppendState(nil))
	f.Add(EncodeDelete(Topic{Name: "x", ID: 1, Partitions: 1}))
	f.Fuzz(func(t *testing.T, p []byte) {
		_ = New().Apply(p)
		d, err := Decode(p)
		if err != nil {
			return
		}
		e, err := Decode(d.AppendState(nil))
		if err != nil || len(e.Topics()) != len(d.Topics()) {
			t.Fatalf("%v does not survive encoding: %v", d.Topics(), err)
		}
	})
}
