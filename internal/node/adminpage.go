package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/weirmq/weir/internal/admin"
)

// AdminOptions say where a node has its admin page, and who may use it.
type AdminOptions struct {
	// Address is where the page listens. Empty: the node has none.
	Address string
	// Optional leaves the page closed, with a warning, where its address is taken; else that is an error of Start.
	Optional bool
	// Page are the options of the page; Logger, Nodes, Lookupds and DialTLS are set by Start.
	Page admin.Options
}

// openAdmin serves the admin page, which asks the node and its lookup service over HTTP as any other would.
func (n *Node) openAdmin() error {
	o := &n.options
	if o.Admin.Address == "" || n.httpLn == nil {
		return nil
	}
	page := o.Admin.Page
	open := page.Tokens == nil && len(page.AdminUsers) == 0
	if n.guard != nil && open {
		o.Logger.Warn("no admin page: the HTTP API needs tokens, and the page would let everybody around them; give it --admin-token-file")
		return nil
	}
	ln, err := net.Listen("tcp", o.Admin.Address)
	if err != nil {
		if o.Admin.Optional {
			o.Logger.Warn("no admin page: its address is taken; give another as --admin-address, or none", slog.Any("error", err))
			return nil
		}
		return fmt.Errorf("--admin-address: %w", err)
	}
	if host, _, _ := net.SplitHostPort(ln.Addr().String()); open && !net.ParseIP(host).IsLoopback() {
		o.Logger.Warn("everybody who can reach the admin page may do everything; --admin-token-file makes people log in", "address", ln.Addr().String())
	}
	page.Logger = o.Logger.With("part", "admin")
	page.Nodes = []string{Reachable(n.HTTPAddr())}
	if lookup := n.LookupHTTPAddr(); lookup != "" {
		page.Lookupds = []string{Reachable(lookup)}
	}
	page.DialTLS = n.tls.DialContext
	if n.guard != nil {
		page.NodeToken = n.guard.Own
	}
	if n.admin, err = admin.New(page); err != nil {
		ln.Close()
		return err
	}
	n.adminLn = ln
	n.serving.Go(func() { n.report("admin", n.admin.Serve(ln)) })
	return nil
}

// closeAdmin ends the page.
func (n *Node) closeAdmin(ctx context.Context) {
	if n.admin == nil {
		return
	}
	if err := n.admin.Close(ctx); err != nil {
		n.options.Logger.Warn("admin page: requests were broken off", slog.Any("error", err))
	}
}

// AdminAddr returns where the admin page listens, "" if there is none.
func (n *Node) AdminAddr() string {
	if n.adminLn == nil {
		return ""
	}
	return n.adminLn.Addr().String()
}
