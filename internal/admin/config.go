package admin

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"

	"github.com/weirmq/weir/internal/admin/access"
	"github.com/weirmq/weir/internal/httpdoor"
)

// maxConfigBytes bounds a new value of a setting.
const maxConfigBytes = 1 << 20

// Setting is one setting, as /config shows and changes it.
type Setting struct {
	// Value reads it. Text is answered as it is, anything else as JSON.
	Value func() any
	// Change sets it to what a request says. nil: it does not change while the server runs.
	Change func(value []byte) error
}

// config is GET and PUT /config/{option}, from the addresses that may. A value is answered as nsqadmin does: text as it is, anything
// else as JSON, durations in nanoseconds.
func (s *Server) config(w http.ResponseWriter, r *http.Request) {
	err := s.mayConfigure(r)
	if err == nil && r.Method == http.MethodPut {
		err = s.configure(r)
	}
	var value any
	if err == nil {
		if setting := s.setting(r.PathValue("option")); setting != nil {
			value = setting.Value()
		} else {
			err = badRequest("INVALID_OPTION")
		}
	}
	if own, ok := err.(*ownError); ok {
		err = httpdoor.NewError(own.status, own.word)
	}
	switch text, isText := value.(string); {
	case err != nil:
		s.door.Fail(w, err)
	case isText:
		w.Header().Set("X-NSQ-Content-Type", "nsq; version=1.0")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, text)
	default:
		s.door.WriteJSON(w, http.StatusOK, value)
	}
}

// mayConfigure looks at the address of the connection, whatever a proxy says, and at the role.
func (s *Server) mayConfigure(r *http.Request) error {
	asking := who(r)
	if !asking.LoggedIn() {
		return errLogin
	}
	if r.Method == http.MethodPut && asking.Role != access.Admin {
		return errForbidden
	}
	if !s.options.AllowConfigFrom.IsValid() {
		return nil
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return badRequest("INVALID_REMOTE_ADDR")
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return badRequest("INVALID_REMOTE_ADDR")
	}
	if !s.options.AllowConfigFrom.Contains(address.Unmap().WithZone("")) {
		return errForbidden
	}
	return nil
}

// configure changes a setting that can be changed while the server runs.
func (s *Server) configure(r *http.Request) error {
	value, err := io.ReadAll(io.LimitReader(r.Body, maxConfigBytes+1))
	if err != nil || len(value) == 0 || len(value) > maxConfigBytes {
		return httpdoor.NewError(http.StatusRequestEntityTooLarge, "INVALID_VALUE")
	}
	option := r.PathValue("option")
	setting := s.setting(option)
	if setting == nil || setting.Change == nil {
		return badRequest("INVALID_OPTION")
	}
	if err := setting.Change(value); err != nil {
		return badRequest("INVALID_VALUE")
	}
	s.options.Logger.Info("setting changed", append(audit(r), "option", option, "value", string(value))...)
	return nil
}

// setting finds a setting by the key that it has in nsqadmin's settings file; nil if there is none.
func (s *Server) setting(option string) *Setting {
	if option == "nsqlookupd_http_addresses" {
		return &Setting{Value: func() any { return *s.lookupds.Load() }, Change: s.setLookupds}
	}
	if setting, ok := s.options.Settings[option]; ok {
		return &setting
	}
	return nil
}

// setLookupds takes a JSON array of addresses in place of Options.Lookupds.
func (s *Server) setLookupds(value []byte) error {
	changed := s.options
	changed.Lookupds = []string{}
	if err := json.Unmarshal(value, &changed.Lookupds); err != nil {
		return err
	}
	if err := changed.Validate(); err != nil {
		return err
	}
	s.lookupds.Store(&changed.Lookupds)
	return nil
}
