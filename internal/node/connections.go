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
	doors := []descriptors.Door{{Name: "tcp", Most: tcp}}
	if o.HTTPAddress != "" {
		doors = append(doors, descriptors.Door{Name: "http", Most: http})
	}
	if o.TLS.HasCertificate() && o.HTTPSAddress != "" {
		doors = append(doors, descriptors.Door{Name: "https", Most: http})
	}
	if o.Admin.Address != "" {
		doors = append(doors, descriptors.Door{Name: "admin", Most: page})
	}
	if o.DiscoveryTCPAddress != "" {
		doors = append(doors, descriptors.Door{Name: "lookup_tcp", Most: lookup}, descriptors.Door{Name: "lookup_http", Most: lookup})
	}
	descriptors.Share(limit, o.Store.OpenFiles+ownFiles, o.Logger, doors...)
}
