package nsqhttp

import (
	"io"
	"net/http"
	"net/http/pprof"
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/weirmq/weir/internal/httpdoor"
)

// debugTable lists the endpoints for looking into a running node.
func debugTable() httpdoor.Routes {
	get := httpdoor.Get
	table := httpdoor.Routes{
		"/debug/pprof/":        get(pprof.Index),
		"/debug/pprof/cmdline": get(httpdoor.Cmdline),
		"/debug/pprof/symbol":  {"GET": pprof.Symbol, "POST": pprof.Symbol},
		"/debug/pprof/profile": get(pprof.Profile),
		"/debug/pprof/trace":   get(pprof.Trace),
		"/debug/setblockrate":  {"PUT": setBlockRate},
		"/debug/freememory":    {"POST": freeMemory},
	}
	for _, profile := range []string{"heap", "goroutine", "block", "threadcreate", "allocs", "mutex"} {
		table["/debug/pprof/"+profile] = get(pprof.Handler(profile).ServeHTTP)
	}
	return table
}

// setBlockRate is PUT /debug/setblockrate?rate=N, in ns of blocking for each sample.
func setBlockRate(w http.ResponseWriter, r *http.Request) {
	rate, err := strconv.Atoi(r.URL.Query().Get("rate"))
	if err != nil {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, "invalid block rate : "+err.Error())
		return
	}
	runtime.SetBlockProfileRate(rate)
}

// freeMemory is POST /debug/freememory: collect garbage and give memory back to the system.
func freeMemory(http.ResponseWriter, *http.Request) { debug.FreeOSMemory() }
