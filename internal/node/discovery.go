package node

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/lookup/lookupd"
	"github.com/weirmq/weir/internal/lookup/registrar"
	"github.com/weirmq/weir/internal/nsqhttp"
	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
	"github.com/weirmq/weir/internal/version"
)

// discovery is how consumers find the node: its registration with lookup services, one of which may be its own.
type discovery struct {
	registrar *registrar.Registrar
	service   *lookupd.Server // nil if the node has none
	others    atomic.Pointer[[]string]
	cluster   atomic.Pointer[[]string] // lookup services of the other nodes of the cluster
}

// advertised is the registrar's view of the broker.
type advertised struct{ *broker.Broker }

// Advertised implements registrar.Source.
func (a advertised) Advertised() []registrar.Topic {
	topics := a.Broker.Advertised()
	list := make([]registrar.Topic, len(topics))
	for i, t := range topics {
		list[i].Name = t.Name()
		for _, ch := range t.Channels() {
			list[i].Channels = append(list[i].Channels, ch.Name())
		}
	}
	return list
}

// openLookup starts the node's own lookup service, if it is to have one, and settles where the node will register.
func (n *Node) openLookup() error {
	o := &n.options
	if o.DiscoveryTCPAddress == "" {
		n.SetLookupAddresses(o.LookupAddresses)
		return nil
	}
	tcp, err := net.Listen("tcp", o.DiscoveryTCPAddress)
	if err != nil {
		return fmt.Errorf("--discovery-tcp-address: %w", err)
	}
	http, err := net.Listen("tcp", o.DiscoveryHTTPAddress)
	if err != nil {
		tcp.Close()
		return fmt.Errorf("--discovery-http-address: %w", err)
	}
	settings := o.Discovery
	settings.TLS = n.tls.Server() // never required: the node itself registers in the clear
	settings.Guard = n.guard
	settings.Logger, settings.Version = o.Logger.With("part", "lookup"), version.NSQ
	if settings.BroadcastAddress, settings.Hostname, err = o.names(); err == nil {
		n.discovery.service, err = lookupd.Start(tcp, http, settings)
	}
	if err != nil {
		return errors.Join(err, tcp.Close(), http.Close())
	}
	n.SetLookupAddresses(o.LookupAddresses)
	n.serving.Go(func() {
		for err := range n.discovery.service.Failed() {
			n.failedC <- err
		}
	})
	return nil
}

// register begins to tell lookup services of the node.
func (n *Node) register() error {
	o := &n.options
	host, hostname, err := o.names()
	if err != nil {
		return err
	}
	n.discovery.registrar.Start(advertised{n.broker}, lookupwire.Peer{
		BroadcastAddress: host, Hostname: hostname,
		TCPPort: cmp.Or(o.BroadcastTCPPort, port(n.tcpLn)), HTTPPort: cmp.Or(o.BroadcastHTTPPort, port(n.httpLn)),
		Version: version.NSQ, TopologyZone: o.TCP.TopologyZone, TopologyRegion: o.TCP.TopologyRegion,
	})
	return nil
}

// SetLookupAddresses replaces the list of lookup services that the node registers with, besides its own: HOST:PORT of their TCP
// protocol. It does not wait for them.
func (n *Node) SetLookupAddresses(addresses []string) {
	others := append([]string{}, addresses...) // never nil: /config shows it as JSON
	n.discovery.others.Store(&others)
	n.announce()
}

// setClusterLookups replaces the lookup services of the other nodes of the cluster.
func (n *Node) setClusterLookups(addresses []string) {
	n.discovery.cluster.Store(&addresses)
	n.announce()
}

// announce has the node registered wherever it should be.
func (n *Node) announce() {
	all := slices.Clone(*n.discovery.others.Load())
	if cluster := n.discovery.cluster.Load(); cluster != nil {
		all = append(all, *cluster...)
	}
	if n.discovery.service != nil {
		all = append(all, Reachable(n.discovery.service.TCPAddr()))
	}
	n.discovery.registrar.SetAddresses(all)
}

// LookupAddresses returns the list that SetLookupAddresses set last. It belongs to the node.
func (n *Node) LookupAddresses() []string { return *n.discovery.others.Load() }

// LookupTCPAddr and LookupHTTPAddr return where the node's own lookup service listens, "" if there is none.
func (n *Node) LookupTCPAddr() string {
	if n.discovery.service == nil {
		return ""
	}
	return n.discovery.service.TCPAddr()
}

// LookupHTTPAddr is described at LookupTCPAddr.
func (n *Node) LookupHTTPAddr() string {
	if n.discovery.service == nil {
		return ""
	}
	return n.discovery.service.HTTPAddr()
}

// lookupSetting is nsqlookupd_tcp_addresses as /config shows and changes it: a JSON array.
func (n *Node) lookupSetting() nsqhttp.Setting {
	return nsqhttp.Setting{
		Value: func() any { return n.LookupAddresses() },
		Change: func(body []byte) error {
			var addresses []string
			if err := json.Unmarshal(body, &addresses); err != nil {
				return err
			}
			n.SetLookupAddresses(addresses)
			return nil
		},
	}
}

// lookupMetric shows with which lookup services the node is registered.
type lookupMetric struct{ registrar *registrar.Registrar }

var lookupRegistered = prometheus.NewDesc("weir_lookup_registered",
	"1 if the lookup service has been told of everything that the node has, 0 if it cannot be reached.", []string{"lookup"}, nil)

// Describe implements prometheus.Collector.
func (lookupMetric) Describe(descC chan<- *prometheus.Desc) { descC <- lookupRegistered }

// Collect implements prometheus.Collector.
func (m lookupMetric) Collect(metricC chan<- prometheus.Metric) {
	for address, registered := range m.registrar.Registered() {
		value := 0.0
		if registered {
			value = 1
		}
		metricC <- prometheus.MustNewConstMetric(lookupRegistered, prometheus.GaugeValue, value, address)
	}
}

// Reachable replaces the host of a listener at all interfaces by one that this machine can connect to.
func Reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}
