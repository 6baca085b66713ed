package nsqtcp

import (
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
)

// maxPubCounts bounds the topics whose publishes are counted for one session; further topics are not listed.
const maxPubCounts = 1000

// stats is what a session tells about itself.
//
// Concurrency: the atomic fields are changed by the session's goroutines for each burst or flush, and read by anybody; mu
// guards the rest.
type stats struct {
	remote    string
	connected int64 // Unix seconds

	identity atomic.Pointer[identity]
	state    atomic.Int32
	ready    atomic.Int64
	messages atomic.Int64 // deliveries
	finishes atomic.Int64
	requeues atomic.Int64

	mu struct {
		sync.Mutex
		published map[string]uint64 // messages by topic; nil before the first
	}
}

// identity is what the client said in IDENTIFY. It is never changed, only replaced.
type identity struct {
	clientID, hostname, userAgent string
	region, zone                  string
	sampleRate                    int
}

func (st *stats) init(conn net.Conn) {
	st.remote = conn.RemoteAddr().String()
	st.connected = time.Now().Unix()
	host, _, err := net.SplitHostPort(st.remote)
	if err != nil {
		host = st.remote
	}
	st.identity.Store(&identity{clientID: host, hostname: host})
}

// published counts committed messages.
func (st *stats) published(topic string, messages int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.mu.published == nil {
		st.mu.published = make(map[string]uint64)
	}
	if _, ok := st.mu.published[topic]; ok || len(st.mu.published) < maxPubCounts {
		st.mu.published[topic] += uint64(messages)
	}
}

func (st *stats) isProducer() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.mu.published) > 0
}

// Stats implements broker.Client. Topics stand in the order of their names.
func (s *session) Stats() broker.ClientStats {
	st := &s.stats
	who := st.identity.Load()
	out := broker.ClientStats{
		ClientID:      who.clientID,
		Hostname:      who.hostname,
		Version:       "V2",
		RemoteAddress: st.remote,
		State:         st.state.Load(),
		ReadyCount:    st.ready.Load(),
		MessageCount:  uint64(st.messages.Load()),
		FinishCount:   uint64(st.finishes.Load()),
		RequeueCount:  uint64(st.requeues.Load()),
		ConnectTime:   st.connected,
		SampleRate:    int32(who.sampleRate),
		UserAgent:     who.userAgent,
		Region:        who.region,
		Zone:          who.zone,
	}
	if g := s.grants.Load(); g != nil {
		out.Authed, out.AuthIdentity, out.AuthIdentityURL = true, g.Identity, g.IdentityURL
	}
	if l := s.layers.Load(); l != nil {
		l.describe(&out)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for topic, count := range st.mu.published {
		out.PubCounts = append(out.PubCounts, broker.PubCount{Topic: topic, Count: count})
	}
	slices.SortFunc(out.PubCounts, func(a, b broker.PubCount) int { return strings.Compare(a.Topic, b.Topic) })
	return out
}
