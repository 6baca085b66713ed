package node

import (
	"cmp"

	"github.com/weirmq/weir/internal/admin"
	"github.com/weirmq/weir/internal/descriptors"
	"github.com/weirmq/weir/internal/lookup/lookupd"
	"github.com/weirmq/weir/internal/nsqhttp"
	"github.com/weirmq/weir/internal/nsqtcp"
)

// ownFiles is how many files a node may have open besides clients' connections and segments for readers: active segments of a few topics,
// listeners, connections to lookup services, AUTH servers and other nodes.
const ownFiles = 128

// fitConnections lowers what the doors take at a time to what a process that may have limit files open can take.
func (o *Options) fitConnections(limit int) {
	tcp, http, page, lookup := &o.TCP.MaxConnections, &o.HTTP.MaxConnections, &o.Admin.Page.MaxConnections, &o.Discovery.MaxConnections
	*tcp = cmp.Or(*tcp, nsqtcp.DefaultMaxConnections)
	*http = cmp.Or(*http, nsqhttp.DefaultMaxConnections)
	*page = cmp.Or(*page, admin.DefaultMaxConnections)
	*lookup = cmp.Or(*lookup, lookupd.DefaultMaxConnections)
	var others []descriptors.Door
	listeners := 0 // of HTTP
	if o.HTTPAddress != "" {
		listeners++
	}
	if o.TLS.HasCertificate() && o.HTTPSAddress != "" {
		listeners++
	}
	if listeners > 0 {
		others = append(others, descriptors.Door{Name: "http", Listeners: listeners, Most: http})
	}
	if o.Admin.Address != "" {
		others = append(others, descriptors.Door{Name: "admin", Listeners: 1, Most: page})
	}
	if o.DiscoveryTCPAddress != "" {
		others = append(others, descriptors.Door{Name: "lookup", Listeners: 2, Most: lookup})
	}
	descriptors.Share(limit, o.Store.OpenFiles+ownFiles, o.Logger, descriptors.Door{Name: "tcp", Listeners: 1, Most: tcp}, others...)
}
