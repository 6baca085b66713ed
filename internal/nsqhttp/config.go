package nsqhttp

import (
	"io"
	"net/http"

	"github.com/weirmq/weir/internal/httpdoor"
)

// Setting is one that /config shows.
type Setting struct {
	// Value returns the value: a string, bool, number (durations in ns) or slice. It may be called from any goroutine.
	Value func() any
	// Change sets the value to what the body of a PUT says; an error means that it is refused. nil: it cannot change. It may be called
	// from any goroutine, several at a time.
	Change func(body []byte) error
}

// getConfig is GET /config/:opt: a string as it is, anything else as JSON.
func (s *Server) getConfig(w http.ResponseWriter, r *http.Request) {
	setting, ok := s.options.Settings[r.PathValue("word")]
	if !ok {
		s.door.Fail(w, errInvalidOption)
		return
	}
	value := setting.Value()
	text, ok := value.(string)
	if !ok {
		s.door.WriteJSON(w, http.StatusOK, value)
		return
	}
	w.Header().Set("X-NSQ-Content-Type", "nsq; version=1.0")
	if text != "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.WriteHeader(http.StatusOK)
	io.WriteString(w, text)
}

// putConfig is PUT /config/:opt, for the settings that can change while the node runs; the answer is the new value.
func (s *Server) putConfig(w http.ResponseWriter, r *http.Request) {
	in, err := s.read(r, s.options.MaxMsgSize, "INVALID_VALUE")
	if err != nil {
		s.door.Fail(w, err)
		return
	}
	defer in.release()
	setting := s.options.Settings[r.PathValue("word")]
	switch {
	case len(in.bytes) == 0:
		err = httpdoor.NewError(http.StatusRequestEntityTooLarge, "INVALID_VALUE")
	case setting.Change == nil:
		err = errInvalidOption
	case setting.Change(in.bytes) != nil:
		err = httpdoor.NewError(http.StatusBadRequest, "INVALID_VALUE")
	}
	if err != nil {
		s.door.Fail(w, err)
		return
	}
	s.getConfig(w, r)
}

var errInvalidOption = httpdoor.NewError(http.StatusBadRequest, "INVALID_OPTION")
