# Weir's commands. `make test` needs Go alone; `make check` installs what else it needs.

GO          ?= go
BENCHSTAT    = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 10s
BENCHTIME   ?= 1s
ROUNDS      ?= 3
WARM        ?= 2048
CHAOS       ?= 15m
SOAK        ?= 15m

# A binary that depends on nothing: no libc, no build path.
BUILDFLAGS   = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags='-s -w'

.PHONY: help build run test check format vet lint race ui process chaos soak browser screenshots peers npm chromium deb faults demo demo-cluster fuzz bench microbench benchcmp clean

help:            ## list the commands
	@sed -nE "s|^([a-z-]+):[^#]*## (.*)|\1\t\2|p" Makefile | expand -t 12

build:           ## build bin/weir
	@mkdir -p bin
	$(BUILDFLAGS) -o bin/weir ./cmd/weir

run: build       ## build bin/weir and start `weir serve`, data in ./weir-data
	bin/weir serve

test:            ## all tests that need Go alone, within five minutes
	$(GO) test -timeout 5m ./...

check: format vet lint  ## what `make test` leaves out: linters, race detector, tests with processes and real clients, the fault menu in its short form
	@mkdir -p bin && rm -f bin/faults.rows
	WEIR_FAULT_REPORT=$(CURDIR)/bin/faults.rows $(MAKE) race ui process browser
	$(GO) run ./test/faults -short -from bin/faults.rows

faults:          ## the fault menu in its long form, an hour or two, into the table of docs/reliability.md; ONLY='power|kill' chooses
	$(GO) run ./test/faults -only '$(ONLY)' -out docs/reliability.md

format:          ## fail if a file is not as gofmt writes it
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not as gofmt writes it (run gofmt -w):"; echo "$$unformatted"; exit 1; fi

vet:             ## go vet, process tests included
	$(GO) vet ./...
	$(GO) vet -tags process ./test/...
	cd test/compare && $(GO) vet .

lint:            ## staticcheck, process tests included
	$(GO) run $(STATICCHECK) -tags process ./...

ui: npm          ## the admin page: its types, and that its libraries are what npm has
	cd test/browser && node vendor.mjs && npx --no-install tsc --project .

race:            ## the packages' tests under the race detector
	$(GO) test -race -timeout 8m ./internal/... ./cmd/...

process: build stock npm  ## tests that kill and freeze real processes and use real clients
	WEIR_TEST_BINARY=$(CURDIR)/bin/weir WEIR_TEST_STOCK_NSQD=$(CURDIR)/bin/stock/nsqd $(GO) test -tags process -count=1 -timeout 15m ./test/...
	cd test/compare && $(GO) test .

chaos: build     ## disturb clusters in network namespaces for CHAOS=15m: cuts, kills, bad disks, with clients and the history checker (root)
	WEIR_TEST_BINARY=$(CURDIR)/bin/weir WEIR_CHAOS=$(CHAOS) $(GO) test -tags process -count=1 -v -timeout 24h -run TestChaos ./test/chaos

soak: build      ## a mixed load with kills on a lone node and a cluster for SOAK=15m: nothing lost, nothing grows
	WEIR_TEST_BINARY=$(CURDIR)/bin/weir WEIR_SOAK=$(SOAK) $(GO) test -tags process -count=1 -v -timeout 24h -run TestSoak ./test/endurance

browser: build stock npm chromium  ## the admin page in headless Chromium, against real processes
	cd test/browser && WEIR_TEST_BINARY=$(CURDIR)/bin/weir node --test --test-concurrency=1 --test-timeout=90000

screenshots: build npm chromium  ## take the pictures in docs/images
	cd test/browser && WEIR_TEST_BINARY=$(CURDIR)/bin/weir node --test --test-timeout=300000 screenshots.mjs

stock:           ## build stock NSQ's daemons and tools into bin/stock, for the tests that compare with them
	@mkdir -p bin/stock
	cd test/stock && $(GO) build -o ../../bin/stock/ tool

peers:           ## build the comparison and nats-server into bin
	@mkdir -p bin/peers
	cd test/compare && $(GO) build -o ../../bin/peers/ tool && $(GO) build -o ../../bin/compare .

npm:             ## install the JavaScript clients that the process tests use
	@command -v node >/dev/null || { echo "installing nodejs"; apt-get install -y --no-install-recommends nodejs npm; }
	@for dir in $$(git ls-files 'test/*package-lock.json' | xargs -r -n1 dirname); do \
		if [ ! -d "$$dir/node_modules" ]; then echo "npm ci in $$dir"; (cd "$$dir" && npm ci --no-audit --no-fund) || exit 1; fi; done

chromium:        ## install the browser that the tests drive
	@command -v chromium >/dev/null || { echo "installing chromium"; apt-get install -y --no-install-recommends chromium; }

deb: build       ## make a Debian package in bin/ (GOARCH=arm64 make deb for another machine)
	packaging/deb/build $$($(GO) env GOARCH) bin

demo: build      ## the README's demonstration: kill -9 in the middle of a file's way through the broker, then count
	$(GO) run ./test/demo -weir bin/weir

demo-cluster: build  ## three nodes, invoices, one node killed and its disk deleted, then count
	$(GO) run ./test/democluster -weir bin/weir

fuzz:            ## each fuzz target for FUZZTIME
	@for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$package || exit 1; \
		done; done

bench: build stock peers  ## compare Weir with nsqd, NATS, and Redis and RabbitMQ if installed: LOADS=a,b SERVERS=a,b ROUNDS=3 (docs/benchmarks.md)
	bin/compare -loads='$(LOADS)' -servers='$(SERVERS)' -rounds=$(ROUNDS) -warm=$(WARM)

benchcmp:        ## the packages' benchmarks against those of another commit: make benchcmp BASE=main
	GO=$(GO) BENCHSTAT=$(BENCHSTAT) test/benchcmp.sh $(or $(BASE),main)

microbench:      ## the packages' benchmarks, with allocations
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./internal/...

clean:           ## remove what was built, not data
	rm -rf bin
	$(GO) clean -testcache
