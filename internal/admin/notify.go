package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"
)

// noticesWaiting bounds the notices that wait for a slow endpoint; what is beyond is dropped and logged.
const noticesWaiting = 1024

// notice is an action as the notification endpoint is told of it, in nsqadmin's shape.
type notice struct {
	Action    string `json:"action"`
	Topic     string `json:"topic"`
	Channel   string `json:"channel,omitempty"`
	Node      string `json:"node,omitempty"`
	Timestamp int64  `json:"timestamp"` // Unix seconds
	User      string `json:"user,omitempty"`
	RemoteIP  string `json:"remote_ip"`
	UserAgent string `json:"user_agent"`
	URL       string `json:"url"`
	Via       string `json:"via"` // this host
}

// startNotices starts to send notices, one after the other.
func (s *Server) startNotices() {
	if s.options.NotificationEndpoint == "" {
		return
	}
	s.notices = make(chan notice, noticesWaiting)
	s.runs.Go(func() {
		for {
			select {
			case n := <-s.notices:
				if err := s.send(n); err != nil {
					s.options.Logger.Warn("notification endpoint", "error", err)
				}
			case <-s.stopped.Done():
				return
			}
		}
	})
}

// notify queues a notice about what a request did.
func (s *Server) notify(r *http.Request, n notice) {
	if s.notices == nil {
		return
	}
	n.Timestamp = time.Now().Unix()
	n.User = who(r).User
	if name, _, ok := r.BasicAuth(); ok {
		n.User = name
	}
	at := url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	if r.TLS != nil || r.Header.Get("X-Scheme") == "https" {
		at.Scheme = "https"
	}
	n.RemoteIP, n.UserAgent, n.URL = r.RemoteAddr, r.UserAgent(), at.String()
	n.Via, _ = os.Hostname()
	select {
	case s.notices <- n:
	default:
		s.options.Logger.Warn("notification endpoint is too slow: a notice was dropped", "action", n.Action, "topic", n.Topic)
	}
}

func (s *Server) send(n notice) error {
	body, err := json.Marshal(n)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.stopped, s.options.RequestTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.options.NotificationEndpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "nsqadmin/"+s.options.Version)
	answer, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("answered %s", answer.Status)
	}
	return nil
}
