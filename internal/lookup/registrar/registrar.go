package registrar

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
)

// Topic is a topic that the broker has, with its channels, each once.
type Topic struct {
	Name     string
	Channels []string
}

// Source is the broker. Its methods may be called from any goroutine.
type Source interface {
	// Advertised returns all topics that consumers should find at this broker, each once. It must not wait for the network.
	Advertised() []Topic
	// Changes delivers when Advertised may return something else than before. The registrar is its one reader.
	Changes() <-chan struct{}
}

// Options configure a Registrar. The zero value of a field means its default.
type Options struct {
	// Logger takes what an operator should know. Default: discard.
	Logger *slog.Logger
	// DialTLS connects to the services whose address begins with "tls://" (without that) and proves who they are; it fits
	// http.Transport.DialTLSContext. Default: such services cannot be reached.
	DialTLS func(ctx context.Context, network, address string) (net.Conn, error)
	// PingInterval is how often a service is told that the broker is there. Default 15s.
	PingInterval time.Duration
	// Timeout is how long a service may take to accept a connection, or to answer. Default 2s.
	Timeout time.Duration
	// AskTimeout bounds Known. Default 1s, which is also the most.
	AskTimeout time.Duration
}

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.DialTLS == nil {
		o.DialTLS = func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("TLS is not configured")
		}
	}
	o.PingInterval = cmp.Or(o.PingInterval, 15*time.Second)
	o.Timeout = cmp.Or(o.Timeout, 2*time.Second)
	o.AskTimeout = min(cmp.Or(o.AskTimeout, maxAskTimeout), maxAskTimeout)
}

// maxAskTimeout is how long a publish to a new topic may wait for lookup services.
const maxAskTimeout = time.Second

// changePause is the least time between two looks at what the broker has: a burst of new topics costs one look, not one each.
const changePause = 50 * time.Millisecond

// Registrar keeps lookup services up to date about one broker. Its methods may be called from any goroutine.
//
// Concurrency: mu guards the links; each link has a goroutine of its own.
type Registrar struct {
	options Options
	http    *http.Client
	ctx     context.Context
	cancel  context.CancelFunc
	runs    sync.WaitGroup

	mu struct {
		sync.Mutex
		source Source // nil before Start
		peer   lookupwire.Peer
		links  map[string]*link // by address
		closed bool
	}
}

// New returns a registrar without services. Until Start it tells nobody anything.
func New(options Options) *Registrar {
	options.setDefaults()
	r := &Registrar{options: options}
	r.http = &http.Client{Transport: &http.Transport{DialTLSContext: options.DialTLS, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.mu.links = make(map[string]*link)
	return r
}

// Start begins to tell what source has, as peer, to the services that SetAddresses names. It is called once.
func (r *Registrar) Start(source Source, peer lookupwire.Peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.source, r.mu.peer = source, peer
	for _, l := range r.mu.links {
		r.startLocked(l)
	}
	if !r.mu.closed {
		r.runs.Go(func() { r.spread(source.Changes()) })
	}
}

// SetAddresses replaces the list of services, "host:port" or "tls://host:port" of their TCP protocol. It does not wait for the network: connections to services
// that are no longer listed are closed, upon which those forget the broker; those still listed are not touched.
func (r *Registrar) SetAddresses(addresses []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed {
		return
	}
	for address, l := range r.mu.links {
		if !slices.Contains(addresses, address) {
			l.cancel()
			delete(r.mu.links, address)
		}
	}
	for _, address := range addresses {
		if r.mu.links[address] == nil && address != "" {
			l := newLink(r, address)
			r.mu.links[address] = l
			if r.mu.source != nil {
				r.startLocked(l)
			}
		}
	}
}

// Addresses returns the list of services, sorted.
func (r *Registrar) Addresses() []string {
	list := []string{}
	for _, l := range r.links() {
		list = append(list, l.address)
	}
	slices.Sort(list)
	return list
}

// Registered reports for each service, by address, whether it was told everything and has not gone since.
func (r *Registrar) Registered() map[string]bool {
	all := make(map[string]bool)
	for _, l := range r.links() {
		all[l.address] = l.registered.Load()
	}
	return all
}

// Close closes all connections and waits for their goroutines. The services forget the broker.
func (r *Registrar) Close() {
	r.mu.Lock()
	r.mu.closed = true
	r.mu.Unlock()
	r.cancel()
	r.runs.Wait()
	r.http.CloseIdleConnections()
}

func (r *Registrar) startLocked(l *link) {
	if !r.mu.closed {
		source, peer := r.mu.source, r.mu.peer
		r.runs.Go(func() { l.run(source, peer) })
	}
}

func (r *Registrar) links() []*link {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*link, 0, len(r.mu.links))
	for _, l := range r.mu.links {
		list = append(list, l)
	}
	return list
}

// spread passes changes on to all links until Close.
func (r *Registrar) spread(changeC <-chan struct{}) {
	for {
		select {
		case <-changeC:
		case <-r.ctx.Done():
			return
		}
		for _, l := range r.links() {
			l.nudge()
		}
		select {
		case <-time.After(changePause):
		case <-r.ctx.Done():
			return
		}
	}
}
