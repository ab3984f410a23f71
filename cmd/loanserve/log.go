package main

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// logger returns the process's log, which goes to stderr. Nothing below the
// level, and below the level that was asked for, is logged.
func (p *program) logger(c *cli, atLeast slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: max(slog.Level(c.LogLevel), atLeast)}
	format := c.LogFormat
	if format == "" && isTerminal(p.stderr) {
		format = logText
	}
	if format == logText {
		return slog.New(slog.NewTextHandler(p.stderr, options))
	}
	return slog.New(slog.NewJSONHandler(p.stderr, options))
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
