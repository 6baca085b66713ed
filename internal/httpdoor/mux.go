package httpdoor

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Mux finds handlers by patterns of paths: "/v1/topics/{topic}/messages". A part in braces stands for one part of the path, which the
// handler gets by Request.PathValue, unescaped; "{rest...}" at the end for all that is left. Of patterns that match, the one added
// first is taken. Unlike http.ServeMux it takes paths as they are, for "." and ".." are legal names of topics.
//
// It is not changed once it serves.
type Mux struct {
	// Fail answers a request for which there is no handler: 404 NOT_FOUND, 405 METHOD_NOT_ALLOWED, 400 INVALID_REQUEST.
	Fail   func(w http.ResponseWriter, err *Error)
	routes []route
}

type route struct {
	parts   []string
	rest    string // name of what is left; "" if nothing may be
	methods Methods
}

// Handle adds the handlers of a pattern.
func (m *Mux) Handle(pattern string, methods Methods) {
	r := route{parts: strings.Split(strings.TrimPrefix(pattern, "/"), "/"), methods: methods}
	last := len(r.parts) - 1
	if name, ok := strings.CutSuffix(variable(r.parts[last]), "..."); ok {
		r.rest, r.parts = name, r.parts[:last]
	}
	m.routes = append(m.routes, r)
}

// Patterns returns what was added, in order, for tests that compare it with a description.
func (m *Mux) Patterns() map[string][]string {
	all := make(map[string][]string)
	for _, r := range m.routes {
		pattern := "/" + strings.Join(r.parts, "/")
		if r.rest != "" {
			pattern += "/{" + r.rest + "}"
		}
		for method := range r.methods {
			all[pattern] = append(all[pattern], method)
		}
	}
	return all
}

// variable returns the name in braces, or "".
func variable(part string) string {
	if len(part) > 2 && part[0] == '{' && part[len(part)-1] == '}' {
		return part[1 : len(part)-1]
	}
	return ""
}

// ServeHTTP finds the handler.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	for i, part := range parts {
		plain, err := url.PathUnescape(part)
		if err != nil {
			m.Fail(w, &Error{http.StatusBadRequest, "INVALID_REQUEST"})
			return
		}
		parts[i] = plain
	}
	for i := range m.routes {
		if m.routes[i].matches(parts) {
			m.routes[i].serve(m, parts, w, r)
			return
		}
	}
	m.Fail(w, &Error{http.StatusNotFound, "NOT_FOUND"})
}

func (t *route) matches(parts []string) bool {
	if len(parts) < len(t.parts) || len(parts) > len(t.parts) && t.rest == "" || t.rest != "" && len(parts) == len(t.parts) {
		return false
	}
	for i, want := range t.parts {
		if variable(want) == "" && want != parts[i] || variable(want) != "" && parts[i] == "" {
			return false
		}
	}
	return true
}

// serve hands the request to the method's handler.
func (t *route) serve(m *Mux, parts []string, w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead && t.methods[method] == nil {
		method = http.MethodGet
	}
	handler := t.methods[method]
	if handler == nil {
		methods := []string{http.MethodOptions}
		for name := range t.methods {
			methods = append(methods, name)
		}
		slices.Sort(methods)
		w.Header().Set("Allow", strings.Join(methods, ", "))
		if r.Method != http.MethodOptions {
			m.Fail(w, &Error{http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"})
		}
		return
	}
	for i, part := range t.parts {
		if name := variable(part); name != "" {
			r.SetPathValue(name, parts[i])
		}
	}
	if t.rest != "" {
		r.SetPathValue(t.rest, strings.Join(parts[len(t.parts):], "/"))
	}
	handler(w, r)
}
