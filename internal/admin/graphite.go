package admin

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/httpdoor"
)

// graphiteRate is GET /api/graphite?metric=rate&target=T: the rate in the last whole interval, a text with two places, or N/A.
func (s *Server) graphiteRate(r *http.Request) (any, error) {
	params, err := httpdoor.Query(r)
	if err != nil {
		return nil, err
	}
	switch {
	case params.Get("metric") != "rate":
		return nil, badRequest("INVALID_ARG_METRIC")
	case !params.Has("target"):
		return nil, badRequest("INVALID_ARG_TARGET")
	case s.options.GraphiteURL == "":
		return nil, httpdoor.NewError(http.StatusNotFound, "GRAPHITE_NOT_CONFIGURED")
	}
	seconds := int(s.options.StatsdInterval / time.Second)
	query := url.Values{
		"from": {fmt.Sprintf("-%dsec", 2*seconds)}, "until": {fmt.Sprintf("-%dsec", seconds)}, "format": {"json"}, "target": {params.Get("target")},
	}
	var answer []struct {
		Points [][]*float64 `json:"datapoints"`
	}
	if err := s.outside.Get(r.Context(), strings.TrimSuffix(s.options.GraphiteURL, "/"), "/render?"+query.Encode(), &answer); err != nil {
		s.options.Logger.Warn("graphite", slog.Any("error", err))
		return nil, httpdoor.NewError(http.StatusBadGateway, "UPSTREAM_ERROR: "+err.Error())
	}
	rate := "N/A"
	if len(answer) > 0 && len(answer[0].Points) > 0 && len(answer[0].Points[0]) > 0 {
		if value := answer[0].Points[0][0]; value != nil && *value >= 0 && seconds > 0 {
			rate = fmt.Sprintf("%.2f", *value/float64(seconds))
		}
	}
	return struct {
		Rate string `json:"rate"`
	}{rate}, nil
}

// proxyGraphite is GET /render, passed on to graphite without what identifies who asks.
func (s *Server) proxyGraphite() http.HandlerFunc {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = s.options.RequestTimeout
	transport.DialTLSContext = s.options.DialTLS
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = s.graphite.Scheme, s.graphite.Host
			p.Out.URL.Path = strings.TrimSuffix(s.graphite.Path, "/") + "/render"
			p.Out.Host = s.graphite.Host
			p.Out.Header.Del("Cookie")
			p.Out.Header.Del("Authorization")
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			s.door.Fail(w, httpdoor.NewError(http.StatusBadGateway, "UPSTREAM_ERROR: "+err.Error()))
		},
		ErrorLog: slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelDebug),
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if asking := who(r); !asking.LoggedIn() {
			s.fail(w, errLogin)
			return
		}
		proxy.ServeHTTP(w, r)
	}
}
