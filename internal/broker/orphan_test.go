package broker_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

// idle is a machine that does nothing.
type idle struct{}

func (idle) Apply(*record.Entry)                {}
func (idle) Lead(bool)                          {}
func (idle) Restore([]byte, record.Index) error { return nil }
func (idle) Failed(error)                       {}

// A catalog that has lost its end, or was replaced by an older copy, does not know topics that had messages.
func TestALogWithMessagesThatTheCatalogDoesNotKnowIsKept(t *testing.T) {
	n := newNode(t, hostile.Benign())
	n.publish("known", "m")
	n.stop()
	full, empty := broker.LogID{Topic: 77}, broker.LogID{Topic: 78}
	for _, id := range []broker.LogID{full, empty} {
		if err := n.logs.Create(id); err != nil {
			t.Fatal(err)
		}
	}
	log, err := n.logs.Open(full, idle{})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Start(0); err != nil {
		t.Fatal(err)
	}
	var b record.Builder
	b.Append([]byte("acknowledged"), 0)
	done := make(chan error, 1)
	log.Propose(&broker.Proposal{Kind: record.KindBatch, Payload: b.Finish(1), Owner: answered(done)})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	n.restart()
	if err := n.Healthy(); err == nil || !strings.Contains(err.Error(), "000000000000004d-00000") || !strings.Contains(err.Error(), "restore") {
		t.Errorf("healthy: %v", err)
	}
	n.subscribe("known", "c", 1, plain).expect("m")
	ids, err := n.logs.List()
	if err != nil || !slices.Contains(ids, full) || slices.Contains(ids, empty) {
		t.Errorf("the logs are %v, %v: want %v and not %v", ids, err, full, empty)
	}
}

type answered chan error

func (c answered) Proposed(p *broker.Proposal) { c <- p.Err }
