package main

import (
	"fmt"
	"strings"
	"time"
)

// bodyBytes is the length of every message.
const bodyBytes = 200

// kind is what a load measures.
type kind int

const (
	pub kind = iota // messages/s that are confirmed
	sub             // deliveries/s of a backlog
	e2e             // deliveries/s while publishing
	lat             // from when a message is due to its delivery
)

// load is one row. Those named as in `weir bench list` do the same as there; what a peer cannot do is left out for it.
type load struct {
	name                       string
	kind                       kind
	connections, window, batch int
	rate                       int    // messages/s, of lat
	light                      bool   // few bytes: memory need not be warm
	nsq                        bool   // only brokers that speak NSQ's protocol can be asked
	what                       string // for the report
}

// loads returns all of them, in the order of the report.
func loads() []load {
	list := []load{
		{name: "pub_1c_sync", light: true, what: "one connection, one message at a time"},
		{name: "pub_50c_sync", connections: 50, what: "50 connections, one message at a time each"},
		{name: "pub_1c_w100", window: 100, what: "one connection, up to 100 messages unconfirmed"},
		{name: "pub_1c_w1000", window: 1000, what: "one connection, up to 1,000 messages unconfirmed"},
		{name: "pub_8c_w100", connections: 8, window: 100, what: "8 connections, up to 100 messages unconfirmed each"},
		{name: "pub_16topics_w100", connections: 16, window: 100, nsq: true, what: "16 topics, one such connection each"},
		{name: "mpub200_4c", connections: 4, batch: 200, what: "4 connections, one batch of 200 at a time each"},
		{name: "mpub200_4c_w8", connections: 4, batch: 200, window: 8, what: "the same, up to 8 batches unconfirmed"},
		{name: "httppub_4c", light: true, connections: 4, nsq: true, what: "4 connections, one POST /pub at a time each"},
		{name: "sub_1c", kind: sub, batch: 1, what: "one consumer drains a backlog"},
		{name: "e2e_pub_w100", kind: e2e, window: 100, what: "publish with up to 100 unconfirmed, and consume"},
		{name: "e2e_mpub200_2x2", kind: e2e, nsq: true, what: "two publishers of batches, two consumers of one channel"},
		{name: "e2e_mpub200_ch10", kind: e2e, nsq: true, what: "one publisher of batches, ten channels"},
		{name: "lat1k_default", kind: lat, rate: 1000, what: "1,000 messages/s by a schedule"},
		{name: "lat10k_default", kind: lat, rate: 10_000, what: "10,000 messages/s by a schedule"},
		{name: "lat1k_gonsq", kind: lat, nsq: true, what: "1,000 messages/s, output buffering as go-nsq asks for"},
		{name: "lat10k_gonsq", kind: lat, nsq: true, what: "10,000 messages/s, output buffering as go-nsq asks for"},
		{name: goNSQLoad, nsq: true, what: "16 goroutines publish one by one on one go-nsq Producer"},
	}
	for i := range list {
		l := &list[i]
		l.light = l.light || l.kind == lat
		l.connections, l.window, l.batch = max(l.connections, 1), max(l.window, 1), max(l.batch, 1)
	}
	return list
}

// chosen returns the loads of these names, or all for none.
func chosen(names string) ([]load, error) {
	all := loads()
	if names == "" {
		return all, nil
	}
	var list []load
	for _, name := range strings.Split(names, ",") {
		found := false
		for _, l := range all {
			if l.name == name {
				list, found = append(list, l), true
			}
		}
		if !found {
			return nil, fmt.Errorf("load %q is unknown: see -help", name)
		}
	}
	return list, nil
}

// measurement is what came of one load, as it stands in the file of raw results.
type measurement struct {
	Server string `json:"server"`
	Load   string `json:"load"`
	Round  int    `json:"round"`

	Rate     float64 `json:"rate"`     // messages/s confirmed, or delivered
	Messages int64   `json:"messages"` // published
	P50      float64 `json:"p50_us,omitempty"`
	P99      float64 `json:"p99_us,omitempty"` // until the confirmation, or with a rate until delivery

	RSSBytes   int64   `json:"rss_bytes,omitempty"` // the most that was resident
	CPUSeconds float64 `json:"cpu_seconds,omitempty"`
	Syncs      int64   `json:"syncs,omitempty"` // rounds of syncs, where the server counts them
	Error      string  `json:"error,omitempty"`
}

// latTime is how long messages are published by a schedule, at least: else those that a server keeps until a timer runs out at
// the end, 250 ms with stock nsqd, weigh too much.
const latTime = 2 * time.Second

// subTime is how long a backlog may take to be made.
const subTime = 3 * time.Second

// backlog is the most messages of it.
const backlog = 400_000
