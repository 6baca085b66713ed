package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/config"
	"github.com/weirmq/weir/internal/descriptors"
	"github.com/weirmq/weir/internal/lookup/lookupd"
	"github.com/weirmq/weir/internal/tlsconf"
	"github.com/weirmq/weir/internal/version"
)

// lookupStopTimeout is how long HTTP requests under way may take when the service is stopped.
const lookupStopTimeout = 5 * time.Second

// lookupFiles is how many files a lookup service has open besides connections, at most.
const lookupFiles = 32

// runNsqlookupd is `weir nsqlookupd`, and NSQ's nsqlookupd.
func runNsqlookupd(ctx context.Context, p process) error {
	var l config.Lookup
	if err := parse(p, config.Nsqlookupd(&l), "usage: nsqlookupd [--tcp-address=HOST:PORT] [--http-address=HOST:PORT] …"); err != nil {
		return err
	}
	if l.ShowVersion {
		fmt.Fprintln(p.out, version.NSQLine("nsqlookupd"))
		return nil
	}
	if err := serveLookup(ctx, p, &l); err != nil {
		return fmt.Errorf("nsqlookupd: %w", err)
	}
	return nil
}

// serveLookup listens and serves until ctx ends or a listener fails.
func serveLookup(ctx context.Context, p process, l *config.Lookup) error {
	logger := newLogger(p, l.LogLevel, l.LogFormat)
	l.Options.Logger = logger
	var err error
	if l.Options.Hostname, err = os.Hostname(); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	l.TLS.Logger = logger
	certificates, err := tlsconf.Open(l.TLS)
	if err != nil {
		return err
	}
	l.Options.TLS = certificates.Server()
	if l.TokenFile != "" {
		tokens, err := auth.OpenTokens(l.TokenFile, logger)
		if err != nil {
			return fmt.Errorf("--http-auth-token-file: %w", err)
		}
		l.Options.Guard = &auth.Guard{Tokens: tokens, Logger: logger}
	}
	tcp, err := net.Listen("tcp", l.TCPAddress)
	if err != nil {
		return fmt.Errorf("--tcp-address: %w", err)
	}
	http, err := net.Listen("tcp", l.HTTPAddress)
	if err != nil {
		tcp.Close()
		return fmt.Errorf("--http-address: %w", err)
	}
	doors := descriptors.Door{Name: "tcp_and_http", Listeners: 2, Most: &l.Options.MaxConnections}
	descriptors.Share(descriptors.Limit(), lookupFiles, logger, doors)
	service, err := lookupd.Start(tcp, http, l.Options)
	if err != nil {
		return errors.Join(err, tcp.Close(), http.Close())
	}
	logger.Info("ready", "tcp", service.TCPAddr(), "http", service.HTTPAddr(), "version", version.Weir)
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-service.Failed():
	}
	stopCtx, cancel := context.WithTimeout(context.Background(), lookupStopTimeout)
	defer cancel()
	return errors.Join(failed, service.Close(stopCtx))
}
