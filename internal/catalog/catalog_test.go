package catalog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/weirmq/weir/internal/testkit/bounded"
)

func apply(t *testing.T, c *Catalog, command []byte) {
	t.Helper()
	if _, err := c.Apply(command); err != nil {
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
	orders := "06" + hex.EncodeToString([]byte("orders"))
	placed := Topic{Name: "orders", ID: 0x0102030405060708, Partitions: 1, Placement: []Partition{
		{Preferred: 2, LastReplica: 300, Replicas: []Replica{{ID: 1, Node: 2}, {ID: 300, Node: 3}}}}}
	local := Topic{Name: "orders", ID: 0x0102030405060708, Partitions: 1, Local: true, Placement: []Partition{
		{Preferred: 2, LastReplica: 1, Replicas: []Replica{{ID: 1, Node: 2}}}}}
	node := Node{ID: 7, Name: "n7", Host: "h", Ports: Ports{TCP: 4150, HTTP: 4151, Peer: 4180}}
	for what, c := range map[string]struct {
		got  []byte
		want string
	}{
		"create":   {EncodeCreate(topic), "01" + "0102030405060708" + "0003" + "06" + hex.EncodeToString([]byte("orders"))},
		"delete":   {EncodeDelete(topic), "02" + "0102030405060708" + "0003" + "06" + hex.EncodeToString([]byte("orders"))},
		"place":    {EncodeCreate(placed), "04" + "0102030405060708" + "0001" + orders + "02" + "02" + "ac02" + "02" + "00" + "01" + "02" + "00" + "ac02" + "03"},
		"local":    {EncodeCreate(local), "04" + "0102030405060708" + "0001" + orders + "03" + "02" + "01" + "01" + "00" + "01" + "02"},
		"node":     {EncodeNode(node), "03" + "07" + "026e37" + "0168" + "b620" + "b720" + "d420"},
		"barrier":  {EncodeBarrier(), "05"},
		"settings": {EncodeSettings(Settings{Replicas: 3, Partitions: 12}), "06" + "03" + "0c"},
		"state":    {exampleCatalog().AppendState(nil), "02" + "01" + "0000000000000001" + "0001" + "0161" + "00" + "01" + "07" + "026e37" + "0168" + "b620" + "b720" + "d420" + "03" + "0c"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: got %s, want %s", what, got, c.want)
		}
	}
}

func exampleCatalog() *Catalog {
	c := New()
	_, _ = c.Apply(EncodeCreate(Topic{Name: "a", ID: 1, Partitions: 1}))
	_, _ = c.Apply(EncodeNode(Node{ID: 7, Name: "n7", Host: "h", Ports: Ports{TCP: 4150, HTTP: 4151, Peer: 4180}}))
	_, _ = c.Apply(EncodeSettings(Settings{Replicas: 3, Partitions: 12}))
	return c
}

func TestStateOfTheFirstFormatIsRead(t *testing.T) {
	state, err := hex.DecodeString("01" + "01" + "0000000000000009" + "0001" + "06" + hex.EncodeToString([]byte("orders")))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Decode(state)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := c.Topic("orders"); !ok || got.ID != 9 || got.Partitions != 1 {
		t.Errorf("got %+v %v", got, ok)
	}
}

func TestMalformedInputIsRefused(t *testing.T) {
	whole := EncodeCreate(Topic{Name: "orders", ID: 1, Partitions: 1})
	for n := range len(whole) {
		if _, err := New().Apply(whole[:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("command cut to %d bytes: %v", n, err)
		}
	}
	placement, err := Place(1, []NodeID{1, 2, 3}, Wish{})
	if err != nil {
		t.Fatal(err)
	}
	placed := EncodeCreate(Topic{Name: "orders", ID: 1, Partitions: 3, Placement: placement})
	for _, command := range [][]byte{placed, EncodeNode(Node{ID: 7, Name: "n7", Host: "h"}), EncodeSettings(Settings{})} {
		for n := range command {
			if err := Check(command[:n]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("command %x cut to %d bytes: %v", command, n, err)
			}
		}
		if err := Check(command); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := New().Apply(append(whole, 0)); !errors.Is(err, ErrMalformed) {
		t.Fatalf("command with a byte too many: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	c := New()
	_, _ = c.Apply(EncodeCreate(Topic{Name: "orders", ID: 1, Partitions: 1}))
	f.Add(c.AppendState(nil))
	f.Add(exampleCatalog().AppendState(nil))
	f.Add(EncodeNode(Node{ID: 7, Name: "n7", Host: "h"}))
	placement, _ := Place(1, []NodeID{1, 2, 3}, Wish{})
	f.Add(EncodeCreate(Topic{Name: "x", ID: 1, Partitions: 3, Placement: placement}))
	f.Add(EncodeDelete(Topic{Name: "x", ID: 1, Partitions: 1}))
	f.Fuzz(func(t *testing.T, p []byte) {
		bounded.Memory(t, len(p), func() { New().Apply(p); Decode(p) })
		_, _ = New().Apply(p)
		d, err := Decode(p)
		if err != nil {
			return
		}
		e, err := Decode(d.AppendState(nil))
		if err != nil || !bytes.Equal(e.AppendState(nil), d.AppendState(nil)) {
			t.Fatalf("%v does not survive encoding: %v", d.Topics(), err)
		}
	})
}
