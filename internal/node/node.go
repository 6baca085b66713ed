package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/admin"
	"github.com/weirmq/weir/internal/api"
	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/descriptors"
	"github.com/weirmq/weir/internal/lookup/registrar"
	"github.com/weirmq/weir/internal/nsqhttp"
	"github.com/weirmq/weir/internal/nsqtcp"
	"github.com/weirmq/weir/internal/replica"
	"github.com/weirmq/weir/internal/tlsconf"
	"github.com/weirmq/weir/internal/version"
	"github.com/weirmq/weir/internal/vfs"
)

// Node is one running node.
type Node struct {
	options Options
	started time.Time

	store  *commitlog.Store
	logs   *replica.Logs
	broker *broker.Broker
	tcp    *nsqtcp.Server
	http   *nsqhttp.Server // nil if that door is closed
	api    *api.Server     // served by http; nil if that is
	syncs  api.Syncs       // how long the disk takes
	// admin and adminLn are nil without an admin page.
	admin   *admin.Server
	adminLn net.Listener
	tcpLn   net.Listener
	httpLn  net.Listener
	tls     *tlsconf.Source
	// authority is nil unless there are AUTH servers, guard unless HTTP needs tokens.
	authority *auth.Authority
	guard     *auth.Guard
	// httpsLn is nil without a certificate.
	httpsLn net.Listener

	discovery discovery
	member    membership
	joined    sync.Mutex // while what gossip says is followed

	stopPushing context.CancelFunc // nil unless statistics are pushed

	serving sync.WaitGroup
	failedC chan error    // a door that ended by itself
	openC   chan struct{} // closed when the doors are open
}

// Start opens the data directory, recovers what is in it and opens the doors. A node of a cluster that is not yet formed waits for
// the others, until ctx ends. When it fails, everything is closed again; the error says what the operator has to do.
func Start(ctx context.Context, options Options) (*Node, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	n := &Node{options: options, started: time.Now(), failedC: make(chan error, 5), openC: make(chan struct{})}
	if err := n.start(ctx); err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), options.StopTimeout)
		defer cancel()
		return nil, errors.Join(err, n.close(ctx))
	}
	return n, nil
}

// start does the steps of Start; what it opened before an error is left to close.
func (n *Node) start(ctx context.Context) error {
	o := &n.options
	if err := refuseStockData(o.DataPath); err != nil {
		return err
	}
	o.fitConnections(descriptors.Limit())
	if err := n.openTLS(); err != nil {
		return err
	}
	if err := n.openAuth(); err != nil {
		return err
	}
	limitMemory(o.MemoryLimit)
	if err := n.openStorage(); err != nil {
		return err
	}
	n.discovery.registrar = registrar.New(registrar.Options{
		Logger: o.Logger, DialTLS: n.tls.DialContext, Timeout: o.Auth.ConnectTimeout, AskTimeout: o.Auth.RequestTimeout,
	})
	if err := n.openLookup(); err != nil {
		return err
	}
	if err := n.openCluster(ctx); err != nil {
		return err
	}
	if err := n.openBroker(ctx); err != nil {
		return err
	}
	if err := n.openDoors(); err != nil {
		return err
	}
	return n.register()
}

// openStorage locks the data directory and checks its format.
func (n *Node) openStorage() error {
	o := &n.options
	disk := vfs.Disk()
	store := o.Store
	store.FS, store.Dir, store.Logger = disk, o.DataPath, o.Logger
	store.Synced = n.syncs.Observe
	var err error
	if n.store, err = commitlog.OpenStore(store); err != nil {
		return err
	}
	logs := o.Replica
	logs.FS, logs.Dir, logs.Logger = disk, o.DataPath, o.Logger
	n.logs = replica.NewLogs(n.store, logs)
	return nil
}

// openBroker recovers all topics, and shows how far it is if that takes long.
func (n *Node) openBroker(ctx context.Context) error {
	o := &n.options
	settings := o.Broker
	settings.Logger = o.Logger
	settings.MaxMsgTimeout = o.TCP.MaxMsgTimeout
	if n.discovery.registrar != nil {
		settings.KnownChannels = n.discovery.registrar.Known
	}
	var logs broker.Logs = n.logs
	if n.member.cluster != nil {
		logs, settings.Cluster = n.member.cluster, n.member.cluster
	}
	recovery := startProgress(logs, o.Terminal)
	defer recovery.stop()
	var err error
	if n.broker, err = broker.Open(recovery, settings); err != nil {
		if n.member.cluster != nil && ctx.Err() == nil {
			return fmt.Errorf("open %s: %w%s", o.DataPath, err, replaceNode)
		}
		return fmt.Errorf("open %s: %w", o.DataPath, err)
	}
	o.Logger.Info("data directory opened", "path", o.DataPath, "topics", len(n.broker.Topics()),
		"sync", o.Store.Sync.String(), "took", time.Since(n.started).Round(time.Millisecond))
	if n.member.cluster != nil {
		n.settleIn(ctx)
	}
	return nil
}

// openDoors listens and serves.
func (n *Node) openDoors() error {
	o := &n.options
	var err error
	if n.tcpLn, err = listen(o.TCPAddress); err != nil {
		return fmt.Errorf("--tcp-address: %w", err)
	}
	if o.HTTPAddress != "" {
		if n.httpLn, err = listen(o.HTTPAddress); err != nil {
			return fmt.Errorf("--http-address: %w", err)
		}
	}
	if err := n.listenHTTPS(); err != nil {
		return err
	}
	tcp := o.TCP
	tcp.Logger, tcp.Version = o.Logger, version.NSQ
	tcp.Authority = n.authority
	tcp.TLS, tcp.TLSRequired = n.tls.Server(), o.TLSRequired != TLSOptional
	if n.tcp, err = nsqtcp.New(n.broker, tcp); err != nil {
		return err
	}
	if err := n.openHTTP(); err != nil {
		return err
	}
	n.serving.Go(func() {
		if err := n.tcp.Serve(n.tcpLn); !errors.Is(err, nsqtcp.ErrServerClosed) {
			n.report("TCP", err)
		}
	})
	if err := n.pushStatistics(); err != nil {
		return err
	}
	if err := n.openAdmin(); err != nil {
		return err
	}
	close(n.openC)
	o.Logger.Info("ready", "tcp", n.TCPAddr(), "http", n.HTTPAddr(), "admin", n.AdminAddr(), "https", n.HTTPSAddr(),
		"lookup_tcp", n.LookupTCPAddr(), "lookup_http", n.LookupHTTPAddr(), "version", version.Weir)
	return nil
}

// openHTTP serves HTTP and HTTPS, as far as they are listened for.
func (n *Node) openHTTP() error {
	if n.httpLn == nil && n.httpsLn == nil {
		return nil
	}
	o := &n.options
	settings, err := o.doorOptions(n.started, n.tcpLn, n.httpLn, n.tcp.Producers)
	if err != nil {
		return err
	}
	settings.Guard = n.guard
	settings.TLSRequired, settings.HTTPSPort = o.TLSRequired == TLSEverywhere, port(n.httpsLn)
	settings.Settings["nsqlookupd_tcp_addresses"] = n.lookupSetting()
	if n.member.cluster != nil {
		settings.Withdraw = n.discovery.registrar.Withdraw
	}
	n.api = n.v1(&settings)
	settings.V1 = n.api
	if n.http, err = nsqhttp.New(n.broker, settings); err != nil {
		return err
	}
	err = errors.Join(registerDoor(settings.Registry, n.tcp), registerDisk(settings.Registry, &n.syncs, n.broker.Yielded),
		settings.Registry.Register(lookupMetric{n.discovery.registrar}))
	if err != nil {
		return err
	}
	if n.httpLn != nil {
		n.serving.Go(func() { n.report("HTTP", n.http.Serve(n.httpLn)) })
	}
	if n.httpsLn != nil {
		n.serving.Go(func() { n.report("HTTPS", n.http.ServeTLS(n.httpsLn, n.tls.Server())) })
	}
	return nil
}

// report keeps why a door ended by itself.
func (n *Node) report(door string, err error) {
	if err != nil {
		n.failedC <- fmt.Errorf("%s door: %w", door, err)
	}
}

// Run returns after a graceful stop, which begins when ctx ends, or when a door fails; that is an error.
func (n *Node) Run(ctx context.Context) error {
	var failed error
	select {
	case <-ctx.Done():
		n.options.Logger.Info("stopping: finishing what is under way; a second signal stops at once")
	case failed = <-n.failedC:
	}
	return errors.Join(failed, n.Stop())
}

// Stop stops gracefully: new work is refused, what is under way is answered, and every cursor is recorded. Connections that
// take longer than Options.StopTimeout are broken off.
func (n *Node) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), n.options.StopTimeout)
	defer cancel()
	begun := time.Now()
	err := n.close(ctx)
	if err == nil {
		n.options.Logger.Info("stopped", "took", time.Since(begun).Round(time.Millisecond))
	}
	return err
}

// close closes what is open, top down.
func (n *Node) close(ctx context.Context) error {
	var errs []error
	n.handOver(ctx)
	if n.discovery.registrar != nil {
		n.discovery.registrar.Close() // consumers should look elsewhere
	}
	doors := sync.WaitGroup{}
	doors.Go(func() { n.closeAdmin(ctx) })
	if n.http != nil {
		doors.Go(func() {
			if err := n.http.Close(ctx); err != nil {
				n.options.Logger.Warn("HTTP requests were broken off", slog.Any("error", err))
			}
		})
	}
	if n.tcp != nil {
		if err := n.tcp.Shutdown(ctx); err != nil {
			n.options.Logger.Warn("sessions were broken off", slog.Any("error", err))
		}
	}
	doors.Wait()
	if n.api != nil {
		n.api.Close()
	}
	for _, ln := range []net.Listener{n.tcpLn, n.httpLn, n.httpsLn} {
		if ln != nil {
			ln.Close() // closed already if its door was served
		}
	}
	if n.discovery.service != nil {
		if err := n.discovery.service.Close(ctx); err != nil {
			n.options.Logger.Warn("lookups were broken off", slog.Any("error", err))
		}
	}
	if n.stopPushing != nil {
		n.stopPushing()
	}
	if n.member.stop != nil {
		n.member.stop()
	}
	if n.broker != nil {
		errs = append(errs, n.broker.Close(ctx))
	}
	errs = append(errs, n.closeCluster())
	n.serving.Wait()
	if n.logs != nil {
		n.logs.Close()
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	if n.member.record != nil && errors.Join(errs...) == nil {
		errs = append(errs, n.member.record.Stopped())
	}
	return errors.Join(errs...)
}

// TCPAddr returns where the TCP door listens.
func (n *Node) TCPAddr() string { return n.tcpLn.Addr().String() }

// HTTPAddr returns where the HTTP door listens, "" if it is closed.
func (n *Node) HTTPAddr() string {
	if n.httpLn == nil {
		return ""
	}
	return n.httpLn.Addr().String()
}

// HTTPSOnly reports whether plain HTTP is answered with the way to HTTPS, and nothing else.
func (n *Node) HTTPSOnly() bool { return n.options.TLSRequired == TLSEverywhere && n.httpsLn != nil }

// NeedsToken reports whether HTTP requests must show a token.
func (n *Node) NeedsToken() bool { return n.guard != nil }

// HTTPSAddr returns where the HTTP door listens for TLS, "" if it does not.
func (n *Node) HTTPSAddr() string {
	if n.httpsLn == nil {
		return ""
	}
	return n.httpsLn.Addr().String()
}
