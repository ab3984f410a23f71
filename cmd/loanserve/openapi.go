package main

import (
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"loanserve/server"
)

// openAPICommand prints the contract that the code makes.
type openAPICommand struct{}

// Run implements the command. It needs no database.
func (*openAPICommand) Run(p *program) error {
	s, err := server.New(server.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err != nil {
		return fmt.Errorf("make the contract: %w", err)
	}
	if _, err := p.stdout.Write(s.OpenAPI()); err != nil {
		return fmt.Errorf("print the contract: %w", err)
	}
	return nil
}
