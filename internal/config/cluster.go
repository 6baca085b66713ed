package config

import (
	"github.com/weirmq/weir/internal/cluster/member"
	"github.com/weirmq/weir/internal/cluster/secret"
	"github.com/weirmq/weir/internal/node"
)

// Ports between nodes.
const (
	peerPort   = "4180"
	gossipPort = member.GossipPort
)

const keyForm = "at least 32 bytes in hex or base64, as `weir cluster key` prints"

// cluster defines which cluster the node belongs to.
func cluster(s *Set, o *node.Options) {
	c := &o.Cluster
	s.Func("join", "HOST[:PORT],…", "", "HOST[:PORT] of every node's gossip, this one's too, in the same order on all nodes",
		"all nodes of the cluster, this one too, alike on all of them; none: the node is alone",
		func(v string) (err error) {
			c.Join, err = member.ParseJoinList(v)
			return err
		})
	s.secret("cluster-key", "TEXT", keyForm, "secret of the cluster; it encrypts and lets nodes know each other. `ps` shows it to every user: "+
		"better a file or `WEIR_CLUSTER_KEY`", func(v string) (err error) {
		c.Key, err = secret.Parse(v)
		return err
	})
	s.Func("cluster-key-file", "FILE", "", "a file that holds "+keyForm, "the same from a file", func(v string) (err error) {
		c.Key, err = secret.ReadFile(v)
		return err
	})
	s.Func("peer-address", "HOST:PORT", "LISTEN:"+peerPort, addressForm, "connections between the nodes", address(&c.PeerAddress))
	s.Func("gossip-address", "HOST:PORT", "LISTEN:"+gossipPort, addressForm, "how the nodes find each other, TCP and UDP", address(&c.GossipAddress))
	s.String(&c.Name, "node-name", "TEXT", "name of this node, unique in the cluster (default: where others reach it)")
	s.Bool(&c.TrustDisk, "trust-disk", "after a power loss of all nodes without --sync=always: take what this disk has for all there was")
}

// secret defines a setting whose value is shown nowhere.
func (s *Set) secret(name, placeholder, accepts, usage string, set func(string) error) {
	s.Func(name, placeholder, "", accepts, usage, set)
	st := s.byName[name]
	st.value, st.hidden = nil, true
}
