package hostile

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/record"
)

// ClusterOptions say how the nodes of a Cluster reach each other.
type ClusterOptions struct {
	Seed uint64
	// MaxDelay bounds the random time that a request takes. Default 0.
	MaxDelay time.Duration
	// LoseRequest and LoseAnswer are the probabilities that a request never arrives, or is executed without the caller hearing
	// of it. Both are tried again, as the contract of broker.Cluster says.
	LoseRequest, LoseAnswer float64
	// Patience is how long a batch is tried. Default 2s.
	Patience time.Duration
}

// Cluster joins the brokers of several nodes by calls in one process, which it delays, loses and repeats. Leadership is that of
// the shared logs.
type Cluster struct {
	options ClusterOptions
	first   *Logs

	mu struct {
		sync.Mutex
		rng     *rand.Rand
		members []*Member
	}
}

// NewCluster returns a cluster without nodes.
func NewCluster(o ClusterOptions) *Cluster {
	c := &Cluster{options: o}
	if c.options.Patience == 0 {
		c.options.Patience = 2 * time.Second
	}
	c.mu.rng = rand.New(rand.NewPCG(o.Seed, 0xC1))
	return c
}

// Join adds a node with logs of its own. Its broker is to be opened with the Member as Logs and as Options.Cluster, and
// then given to Serve.
func (c *Cluster) Join(o Options) *Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := &Member{cluster: c, id: catalog.NodeID(len(c.mu.members) + 1)}
	if c.first == nil {
		c.first = New(o)
		m.Logs = c.first
	} else {
		m.Logs = c.first.Join(o)
	}
	m.lanes = make(map[broker.LogID]*lane)
	c.mu.members = append(c.mu.members, m)
	return m
}

// chance is true with probability p.
func (c *Cluster) chance(p float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return p > 0 && c.mu.rng.Float64() < p
}

// delay waits as long as a request may take.
func (c *Cluster) delay() {
	if c.options.MaxDelay <= 0 {
		return
	}
	c.mu.Lock()
	wait := time.Duration(c.mu.rng.Int64N(int64(c.options.MaxDelay) + 1))
	c.mu.Unlock()
	time.Sleep(wait)
}

// leader returns the node that leads a log and is up.
func (c *Cluster) leader(id broker.LogID) *Member {
	c.first.world.mu.Lock()
	g := c.first.world.mu.groups[id]
	c.first.world.mu.Unlock()
	if g == nil {
		return nil
	}
	g.mu.Lock()
	l := g.mu.leader
	g.mu.Unlock()
	if l == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.mu.members, func(m *Member) bool { return m.Logs == l.node })
	if i < 0 || c.mu.members[i].broker == nil {
		return nil
	}
	return c.mu.members[i]
}

// Member is one node of a Cluster. It implements broker.Cluster, and broker.Logs whose Open makes a log that is missing.
type Member struct {
	*Logs
	cluster *Cluster
	id      catalog.NodeID
	life    uint32         // guarded by cluster.mu
	broker  *broker.Broker // nil while the node is down; guarded by cluster.mu
	runs    sync.WaitGroup

	mu    sync.Mutex
	lanes map[broker.LogID]*lane
}

// lane carries the batches for one log, in order.
type lane struct {
	sequence uint64
	waiting  []*broker.Proposal
	busy     bool
}

var (
	_ broker.Cluster = (*Member)(nil)
	_ broker.Logs    = (*Member)(nil)
)

// Serve lets the other nodes reach this one, in a new life.
func (m *Member) Serve(b *broker.Broker) {
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	m.broker = b
	m.life++
}

// Leave cuts the node off and waits for what it has under way.
func (m *Member) Leave() {
	m.cluster.mu.Lock()
	m.broker = nil
	m.cluster.mu.Unlock()
	m.runs.Wait()
}

// Open implements broker.Logs.
func (m *Member) Open(id broker.LogID, machine broker.Machine) (broker.Log, error) {
	if ids, _ := m.List(); !slices.Contains(ids, id) {
		if err := m.Create(id); err != nil {
			return nil, err
		}
	}
	return m.Logs.Open(id, machine)
}

// Self implements broker.Cluster.
func (m *Member) Self() catalog.NodeID { return m.id }

// Place implements broker.Cluster.
func (m *Member) Place(broker.LogID, catalog.Partition, bool) {}

// Displace implements broker.Cluster.
func (m *Member) Displace(broker.LogID) {}

// Leader implements broker.Cluster.
func (m *Member) Leader(id broker.LogID) catalog.NodeID {
	if l := m.cluster.leader(id); l != nil {
		return l.id
	}
	return 0
}

// Publish implements broker.Cluster. The batches for one log travel one at a time.
func (m *Member) Publish(id broker.LogID, p *broker.Proposal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.lanes[id]
	if l == nil {
		l = &lane{}
		m.lanes[id] = l
	}
	l.waiting = append(l.waiting, p)
	if !l.busy {
		l.busy = true
		m.runs.Go(func() { m.drain(id, l) })
	}
}

// drain sends what waits in a lane until it is empty.
func (m *Member) drain(id broker.LogID, l *lane) {
	for {
		m.mu.Lock()
		if len(l.waiting) == 0 {
			l.busy = false
			m.mu.Unlock()
			return
		}
		p := l.waiting[0]
		l.waiting = l.waiting[1:]
		l.sequence++
		sequence := l.sequence
		m.mu.Unlock()
		p.Err = m.relay(id, p, sequence)
		if p.Owner != nil {
			p.Owner.Proposed(p)
		}
	}
}

// relay has a batch appended by whoever leads, and repeats it under the same sequence until that is certain.
func (m *Member) relay(id broker.LogID, p *broker.Proposal, sequence uint64) error {
	m.cluster.mu.Lock()
	relay := record.Relay{Node: uint64(m.id), Life: m.life, Sequence: sequence}
	m.cluster.mu.Unlock()
	c := m.cluster
	unsure := false
	for deadline := time.Now().Add(c.options.Patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		to := c.leader(id)
		if to == nil || c.chance(c.options.LoseRequest) {
			continue
		}
		c.delay()
		err := to.take(id, p, relay)
		lost := c.chance(c.options.LoseAnswer)
		if lost || errors.Is(err, broker.ErrUnknown) || errors.Is(err, broker.ErrClosed) {
			unsure = true
			continue
		}
		if errors.Is(err, broker.ErrNotLeader) {
			continue
		}
		if err != nil && unsure {
			return errors.Join(broker.ErrUnknown, err)
		}
		return err
	}
	if unsure {
		return broker.ErrUnknown
	}
	return broker.ErrNoLeader
}

// take gives a copy of a batch to the node's broker and waits for the outcome.
func (m *Member) take(id broker.LogID, p *broker.Proposal, relay record.Relay) error {
	m.cluster.mu.Lock()
	b := m.broker
	m.cluster.mu.Unlock()
	if b == nil {
		return broker.ErrNotLeader
	}
	batch := record.Batch(slices.Clone(p.Payload))
	batch.SetRelay(relay)
	done := make(answered, 1)
	b.Relayed(id, &broker.Proposal{Flags: p.Flags, Payload: batch, Messages: p.Messages, BodyBytes: p.BodyBytes, Owner: done})
	select {
	case err := <-done:
		return err
	case <-time.After(m.cluster.options.Patience): // the node crashed: nobody answers any more
		return broker.ErrUnknown
	}
}

type answered chan error

func (a answered) Proposed(p *broker.Proposal) { a <- p.Err }

// Change implements broker.Cluster.
func (m *Member) Change(ctx context.Context, id broker.LogID, change []byte) (record.Index, error) {
	c := m.cluster
	for {
		if index, err, done := m.changeOnce(ctx, id, change); done {
			return index, err
		}
		select {
		case <-ctx.Done():
			return 0, broker.ErrNoLeader
		case <-time.After(5 * time.Millisecond):
		}
		c.delay()
	}
}

// changeOnce tries a change; done is false if it is to be tried again.
func (m *Member) changeOnce(ctx context.Context, id broker.LogID, change []byte) (index record.Index, err error, done bool) {
	c := m.cluster
	to := c.leader(id)
	if to == nil || c.chance(c.options.LoseRequest) {
		return 0, nil, false
	}
	c.mu.Lock()
	b := to.broker
	c.mu.Unlock()
	if b == nil {
		return 0, nil, false
	}
	attempt, cancel := context.WithTimeout(ctx, c.options.Patience/4)
	defer cancel()
	index, err = b.Change(attempt, id, change)
	for _, again := range []error{broker.ErrNotLeader, broker.ErrUnknown, broker.ErrFull, broker.ErrClosed} {
		if errors.Is(err, again) {
			return 0, nil, false
		}
	}
	return index, err, !c.chance(c.options.LoseAnswer)
}
