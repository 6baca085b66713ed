package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/httpdoor"
	"github.com/weirmq/weir/internal/record"
)

// Server answers the node API.
type Server struct {
	broker  *broker.Broker
	options Options
	mux     httpdoor.Mux
	answers http.Handler // mux, compressed
	origins http.CrossOriginProtection
	readC   chan struct{} // holds one for each request that reads a log
	writeC  chan struct{} // the same of those that bring a message
	history *recorder
	syncs   *Syncs

	stop context.CancelFunc
	runs sync.WaitGroup
}

// New returns a server, which begins to keep the history. It must be closed before the broker is.
func New(b *broker.Broker, syncs *Syncs, options Options) *Server {
	options.setDefaults()
	s := &Server{broker: b, options: options, readC: make(chan struct{}, options.Readers), writeC: make(chan struct{}, options.Writers), syncs: syncs}
	s.history = newRecorder(&s.options)
	s.mux.Fail = func(w http.ResponseWriter, err *httpdoor.Error) {
		s.fail(w, &apiError{err.Status, err.Word, "see docs/http-api.md"})
	}
	s.routes()
	s.answers = httpdoor.Compressed(&s.mux)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.runs.Go(func() { s.sample(ctx) })
	return s
}

// Close ends the sampling.
func (s *Server) Close() {
	s.stop()
	s.runs.Wait()
}

// routes says what is where.
func (s *Server) routes() {
	get, post, handle := httpdoor.Get, httpdoor.Post, s.mux.Handle
	handle("/v1/node", get(s.json(s.node)))
	handle("/v1/history", get(s.json(s.lastHour)))
	handle("/v1/cluster", get(s.json(s.cluster)))
	handle("/v1/topics", httpdoor.Methods{"GET": s.json(s.topics), "POST": s.json(s.createTopic)})
	handle("/v1/topics/{topic}", get(s.json(s.topic)))
	handle("/v1/topics/{topic}/channels/{channel}", get(s.json(s.channel)))
	handle("/v1/topics/{topic}/messages", httpdoor.Methods{"GET": s.reading(s.json(s.browse)), "POST": s.bounded(s.writeC, s.json(s.publish))})
	handle("/v1/topics/{topic}/messages/{partition}/{offset}", get(s.reading(s.json(s.one))))
	handle("/v1/topics/{topic}/messages/{partition}/{offset}/body", get(s.reading(s.body)))
	handle("/v1/topics/{topic}/messages/{partition}/{offset}/republish", post(s.reading(s.json(s.republish))))
	handle("/v1/topics/{topic}/search", get(s.reading(s.json(s.search))))
	handle("/v1/topics/{topic}/channels/{channel}/messages", get(s.reading(s.json(s.held))))
	handle("/v1/topics/{topic}/channels/{channel}/messages/{partition}/{offset}/finish", post(s.json(s.finish)))
	handle("/v1/topics/{topic}/channels/{channel}/messages/{partition}/{offset}/requeue", post(s.json(s.requeue)))
}

// ServeHTTP answers one request. What a browser sends for another site is refused if it would change something.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			s.options.Logger.Error("request failed by a bug; please report it", "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
			s.fail(w, errInternal)
		}
	}()
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if s.origins.Check(r) != nil {
		s.fail(w, &apiError{http.StatusForbidden, "CROSS_ORIGIN", "the request comes from a page of another site"})
		return
	}
	s.answers.ServeHTTP(w, r)
}

// apiError is an answer other than 200: a status, a word that programs compare, a sentence that people read.
type apiError struct {
	status       int
	word, detail string
}

func (e *apiError) Error() string { return e.detail }

func badRequest(word, detail string) error { return &apiError{http.StatusBadRequest, word, detail} }

var (
	errInternal = &apiError{http.StatusInternalServerError, "INTERNAL_ERROR", "see the log of the node"}
	errBusy     = &apiError{http.StatusServiceUnavailable, "BUSY", "too many such requests are under way; try again"}
)

// brokerErrors translates the broker's errors. What is not here is 500 INTERNAL_ERROR and goes to the log.
var brokerErrors = []struct {
	err    error
	status int
	word   string
}{
	{broker.ErrTopicNotFound, http.StatusNotFound, "TOPIC_NOT_FOUND"},
	{broker.ErrChannelNotFound, http.StatusNotFound, "CHANNEL_NOT_FOUND"},
	{broker.ErrNoPartition, http.StatusNotFound, "NO_PARTITION"},
	{broker.ErrOffsetOutOfRange, http.StatusNotFound, "NO_MESSAGE"},
	{broker.ErrLost, http.StatusNotFound, "NO_MESSAGE"},
	{broker.ErrBadTopicName, http.StatusBadRequest, "INVALID_TOPIC"},
	{broker.ErrNotUnfinished, http.StatusConflict, "NOT_UNFINISHED"},
	{broker.ErrNotLeader, http.StatusConflict, "NOT_LEADER"},
	{broker.ErrNoLeader, http.StatusServiceUnavailable, "NO_LEADER"},
	{broker.ErrClosed, http.StatusServiceUnavailable, "EXITING"},
	{broker.ErrFull, http.StatusServiceUnavailable, "DISK_FULL"},
	{broker.ErrTooManyDeferred, http.StatusServiceUnavailable, "TOO_MANY_DEFERRED"},
	{broker.ErrUnknown, http.StatusInternalServerError, "OUTCOME_UNKNOWN"},
	{broker.ErrFailed, http.StatusInternalServerError, "LOG_FAILED"},
}

// fail answers with an error.
func (s *Server) fail(w http.ResponseWriter, err error) {
	answer := s.translate(err)
	writeJSON(w, answer.status, struct {
		Error  string `json:"error"`
		Detail string `json:"detail"`
	}{answer.word, answer.detail})
}

func (s *Server) translate(err error) *apiError {
	var own *apiError
	if errors.As(err, &own) {
		return own
	}
	for _, e := range brokerErrors {
		if errors.Is(err, e.err) {
			return &apiError{e.status, e.word, err.Error()}
		}
	}
	if errors.Is(err, catalog.ErrPlacement) {
		return &apiError{http.StatusBadRequest, "INVALID_PLACEMENT", err.Error()}
	}
	s.options.Logger.Error("request failed", slog.Any("error", err))
	return errInternal
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err) // our own types: ServeHTTP reports it
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(body)
}

// json makes a handler of a function that answers with a value to be encoded, or an error.
func (s *Server) json(answer func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := answer(r)
		if err != nil {
			s.fail(w, err)
			return
		}
		writeJSON(w, http.StatusOK, value)
	}
}

// reading bounds how many requests read logs at a time.
func (s *Server) reading(handler http.HandlerFunc) http.HandlerFunc {
	return s.bounded(s.readC, handler)
}

// bounded handles as many requests at a time as placeC has places; who finds none within a second is sent away.
func (s *Server) bounded(placeC chan struct{}, handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		wait := time.NewTimer(time.Second)
		defer wait.Stop()
		select {
		case placeC <- struct{}{}:
			defer func() { <-placeC }()
			handler(w, r)
		case <-wait.C:
			s.fail(w, errBusy)
		case <-r.Context().Done():
		}
	}
}

// topicOf finds the topic that a path names.
func (s *Server) topicOf(r *http.Request) (*broker.Topic, error) {
	t, ok := s.broker.Topic(r.PathValue("topic"))
	if !ok {
		return nil, broker.ErrTopicNotFound
	}
	return t, nil
}

// address reads partition and offset of a path.
func address(r *http.Request) (partition uint16, offset record.Offset, err error) {
	p, err := strconv.ParseUint(r.PathValue("partition"), 10, 16)
	if err != nil {
		return 0, 0, badRequest("INVALID_PARTITION", "a partition is a number from 0 to 65535")
	}
	o, err := strconv.ParseInt(r.PathValue("offset"), 10, 64)
	if err != nil || o < 0 {
		return 0, 0, badRequest("INVALID_OFFSET", "an offset is a number from 0 on")
	}
	return uint16(p), record.Offset(o), nil
}

// params are the parameters of a request; the first that cannot be read is kept as err.
type params struct {
	values url.Values
	err    error
}

func query(r *http.Request) *params {
	values, err := httpdoor.Query(r)
	if err != nil {
		err = badRequest("INVALID_REQUEST", "the query cannot be read")
	}
	return &params{values, err}
}

func (p *params) number(name string, def, least, most int64) int64 {
	if !p.values.Has(name) {
		return def
	}
	n, err := strconv.ParseInt(p.values.Get(name), 10, 64)
	if (err != nil || n < least || n > most) && p.err == nil {
		p.err = badRequest("INVALID_"+upper(name), name+" is a number from "+strconv.FormatInt(least, 10)+" to "+strconv.FormatInt(most, 10))
	}
	return n
}

func upper(name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// decode reads a JSON body of at most limit bytes; none is as good as {}.
func decode(r *http.Request, limit int64, into any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, limit))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return badRequest("INVALID_BODY", err.Error())
	}
	return nil
}

// did writes an action into the log.
func (s *Server) did(r *http.Request, action string, err error) error {
	attributes := []any{"action", action, "path", r.URL.Path, "remote", r.RemoteAddr}
	if err != nil {
		s.options.Logger.Warn("node API: action failed", append(attributes, slog.Any("error", err))...)
	} else {
		s.options.Logger.Info("node API: action", attributes...)
	}
	return err
}
