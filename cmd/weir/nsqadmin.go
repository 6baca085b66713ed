package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/weirmq/weir/internal/admin"
	"github.com/weirmq/weir/internal/config"
	"github.com/weirmq/weir/internal/version"
)

// adminStopTimeout is how long requests under way may take when the page is stopped.
const adminStopTimeout = 5 * time.Second

// runNsqadmin is `weir nsqadmin`, and NSQ's nsqadmin.
func runNsqadmin(ctx context.Context, p process) error {
	var a config.Admin
	if err := parse(p, config.Nsqadmin(&a), "usage: nsqadmin --lookupd-http-address=HOST:PORT … | --nsqd-http-address=HOST:PORT …"); err != nil {
		return err
	}
	if a.ShowVersion {
		fmt.Fprintln(p.out, version.NSQLine("nsqadmin"))
		return nil
	}
	if err := serveAdmin(ctx, p, &a); err != nil {
		return fmt.Errorf("nsqadmin: %w", err)
	}
	return nil
}

// serveAdmin listens and serves until ctx ends or the listener fails.
func serveAdmin(ctx context.Context, p process, a *config.Admin) error {
	logger := newLogger(p, &a.LogLevel, a.LogFormat)
	a.Options.Logger = logger
	server, err := admin.New(a.Options)
	if err != nil {
		return err
	}
	stop := func() error {
		stopCtx, cancel := context.WithTimeout(context.Background(), adminStopTimeout)
		defer cancel()
		return server.Close(stopCtx)
	}
	ln, err := net.Listen("tcp", a.HTTPAddress)
	if err != nil {
		return errors.Join(fmt.Errorf("--http-address: %w", err), stop())
	}
	servedC := make(chan error, 1)
	go func() { servedC <- server.Serve(ln) }()
	logger.Info("ready", "http", ln.Addr().String(), "base_path", a.Options.BasePath, "version", version.Weir)
	select {
	case <-ctx.Done():
		return errors.Join(stop(), <-servedC)
	case err := <-servedC:
		return errors.Join(err, stop())
	}
}
