package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	// readHeaderTimeout is how long a client may take to say what it wants.
	readHeaderTimeout = 5 * time.Second
	// idleTimeout closes connections that nobody uses.
	idleTimeout = 2 * time.Minute
	// maxHeaderBytes is far more than any request of ours needs.
	maxHeaderBytes = 32 << 10
)

// listener is an HTTP server on an address. A nil one does nothing.
type listener struct {
	server *http.Server
	at     net.Addr
	log    *slog.Logger
}

// listen serves the handler on the address. Should that end by itself, fail is
// told why.
func listen(
	ctx context.Context, a address, handler http.Handler, log *slog.Logger, fail func(error),
) (*listener, error) {
	var config net.ListenConfig
	socket, err := config.Listen(ctx, "tcp", string(a))
	if err != nil {
		return nil, err // Says "listen tcp <address>" already.
	}
	l := &listener{
		server: &http.Server{
			Handler: handler, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout,
			MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
		at: socket.Addr(), log: log,
	}
	go func() {
		if err := l.server.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("serve on %s: %w", l.at, err))
		}
	}()
	return l, nil
}

// url is where a browser on this machine finds it.
func (l *listener) url() string {
	host, port, _ := net.SplitHostPort(l.at.String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// stop accepts nothing new and lets requests finish. When ctx ends first, they
// are cut off.
func (l *listener) stop(ctx context.Context) error {
	if l == nil {
		return nil
	}
	err := l.server.Shutdown(ctx)
	if err == nil {
		return nil
	}
	l.log.LogAttrs(ctx, slog.LevelWarn, "requests are still running at the end of the grace period and are cut off")
	if err := l.server.Close(); err != nil {
		return fmt.Errorf("close listener: %w", err)
	}
	return nil
}
