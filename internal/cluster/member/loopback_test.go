package member_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirmq/weir/internal/cluster/gossip"
	"github.com/weirmq/weir/internal/cluster/member"
	"github.com/weirmq/weir/internal/vfs"
)

// memberlist does not wait for its last probe and its last exchange, which end by themselves within seconds.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).pushPull"))
}

// gossiping is a Gossip over the real one.
type gossiping struct{ *gossip.Gossip }

func (g gossiping) Nodes() (all []member.Node) {
	for _, m := range g.Members() {
		if m.State == gossip.Alive {
			all = append(all, member.Node{Name: m.Name, GossipAddress: m.Address, PeerAddress: m.Meta.PeerAddress,
				ClusterID: m.Meta.ClusterID, List: m.Meta.List})
		}
	}
	return all
}

func TestThreeNodesFormAClusterOverLoopback(t *testing.T) {
	const nodes = 3
	type machine struct {
		gossip *gossip.Gossip
		former *member.Former
		readyC chan struct{} // closed when former is set
	}
	var machines [nodes]machine
	var addresses []string
	for i := range machines {
		m := &machines[i]
		m.readyC = make(chan struct{})
		g, err := gossip.Start(gossip.Options{Name: fmt.Sprint("node-", i), Bind: "127.0.0.1:0", Key: make([]byte, 32),
			Received: func(from string, message []byte) {
				select {
				case <-m.readyC:
					m.former.Received(from, message)
				default: // it is repeated
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		m.gossip = g
		t.Cleanup(func() {
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		})
		addresses = append(addresses, g.Address())
	}
	list, err := member.ParseJoinList(strings.Join(addresses, ","))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var got [nodes]member.Identity
	var running sync.WaitGroup
	for i := range machines {
		m := &machines[i]
		disk := vfs.NewMem(1)
		if err := disk.MkdirAll("data"); err != nil {
			t.Fatal(err)
		}
		record, err := member.Open(disk, "data", member.BootID())
		if err != nil {
			t.Fatal(err)
		}
		meta := gossip.Meta{List: list.Digest(), PeerAddress: fmt.Sprint("peer-", i, ":4180"), Life: record.Life().Number}
		if err := m.gossip.SetMeta(meta); err != nil {
			t.Fatal(err)
		}
		m.former = member.NewFormer(record, member.FormOptions{Name: fmt.Sprint("node-", i), List: list, Gossip: gossiping{m.gossip}})
		close(m.readyC)
		m.gossip.Join(list)
		running.Go(func() {
			v, err := m.former.Run(ctx)
			if err != nil {
				t.Errorf("node %d: %v", i, err)
				return
			}
			meta.ClusterID, meta.Node = v.ClusterID, v.Self
			if err := m.gossip.SetMeta(meta); err != nil {
				t.Error(err)
			}
			got[i] = v
		})
	}
	running.Wait()
	for i, v := range got {
		if v.ClusterID == 0 || v.ClusterID != got[0].ClusterID || int(v.Self) != i+1 || len(v.Members) != nodes ||
			v.Members[i].PeerAddress != fmt.Sprint("peer-", i, ":4180") {
			t.Errorf("node %d: %+v", i, v)
		}
	}
}
