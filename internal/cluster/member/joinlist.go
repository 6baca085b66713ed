package member

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"unicode"
)

// GossipPort is the port of an entry of a join list that names none.
const GossipPort = "4181"

// JoinList is the nodes of a cluster to be, by their gossip addresses, each as host:port. The order matters: the nodes are
// numbered by it.
type JoinList []string

// ParseJoinList reads HOST[:PORT],… An empty text is an empty list. A node that is named twice is refused.
func ParseJoinList(text string) (JoinList, error) {
	var list JoinList
	seen := make(map[string]bool)
	for entry := range strings.SplitSeq(text, ",") {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if entry == "" {
			continue
		}
		host, port, err := net.SplitHostPort(entry)
		if err != nil { // no port, or an IPv6 address without brackets
			host, port = strings.Trim(entry, "[]"), GossipPort
			if strings.Contains(host, ":") && net.ParseIP(host) == nil {
				return nil, fmt.Errorf("%q is not HOST or HOST:PORT", entry)
			}
		}
		if host == "" || port == "" || strings.ContainsAny(host+port, "[]") || strings.ContainsFunc(host+port, unicode.IsSpace) {
			return nil, fmt.Errorf("%q is not HOST or HOST:PORT", entry)
		}
		address := net.JoinHostPort(host, port)
		if seen[address] {
			return nil, fmt.Errorf("%s is in the list twice", address)
		}
		seen[address] = true
		list = append(list, address)
	}
	if len(list) > maxMembers {
		return nil, errors.New("the list is too long")
	}
	return list, nil
}

// Digest tells lists apart; 0 is that of an empty one.
func (l JoinList) Digest() uint64 {
	if len(l) == 0 {
		return 0
	}
	sum := sha256.Sum256([]byte(strings.Join(l, ",")))
	return binary.BigEndian.Uint64(sum[:]) | 1
}

// match finds, for each entry of the list, which of the nodes it means: the one that gossips from that port of an address that
// the entry's host has. A nil result is an entry that means none of them.
func (l JoinList) match(ctx context.Context, lookup func(ctx context.Context, host string) ([]string, error), nodes []Node) []*Node {
	matched := make([]*Node, len(l))
	for i, entry := range l {
		host, port, _ := net.SplitHostPort(entry) // as ParseJoinList made it
		ips := []string{host}
		if net.ParseIP(host) == nil {
			ips, _ = lookup(ctx, host) // a name that is not known yet is a node that is not there yet
		}
		for _, ip := range ips {
			for j := range nodes {
				if nodes[j].GossipAddress == net.JoinHostPort(ip, port) {
					matched[i] = &nodes[j]
				}
			}
		}
	}
	return matched
}
