package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// doctorCommand looks at everything an operator would look at first, in one go. It
// changes nothing, and goes on where something cannot be looked at.
type doctorCommand struct {
	databaseFlags
	zoneFlags

	BackupURL storeURL `name:"backup-url" placeholder:"URL" setting:"LOANSERVE_BACKUP_URL" help:"Also look at this store of backups: file:///DIRECTORY or s3://BUCKET/PREFIX?endpoint=https://HOST."`
	JSON      bool     `name:"json" help:"Print JSON."`
}

// health is how something that was looked at is.
type health string

const (
	healthOK   health = "ok"
	healthWarn health = "warn"
	healthFail health = "fail"
)

// finding is one line of the doctor's.
type finding struct {
	Check  string `json:"check"`
	Health health `json:"health"`
	Detail string `json:"detail"`
	// Next is what to do about it, where it is not ok.
	Next string `json:"next,omitempty"`
	// Unseen says that it could not be looked at, so that nothing is known of it.
	Unseen bool `json:"unseen,omitempty"`
}

// examination is one run of the doctor.
type examination struct {
	*doctorCommand

	p        *program
	findings []finding
}

func (e *examination) ok(check, detail string) {
	e.findings = append(e.findings, finding{Check: check, Health: healthOK, Detail: detail})
}

func (e *examination) warn(check, detail, next string) {
	e.findings = append(e.findings, finding{Check: check, Health: healthWarn, Detail: detail, Next: next})
}

func (e *examination) fail(check, detail, next string) {
	e.findings = append(e.findings, finding{Check: check, Health: healthFail, Detail: detail, Next: next})
}

// unseen records what could not be looked at, and why.
func (e *examination) unseen(check string, err error, next string) {
	e.findings = append(e.findings, finding{
		Check: check, Health: healthFail, Detail: "cannot look: " + strings.Join(strings.Fields(err.Error()), " "),
		Next: next, Unseen: true,
	})
}

// doctorPatience bounds each look, so that a server that does not answer costs
// seconds.
const doctorPatience = 15 * time.Second

// look runs one look with its own time limit.
func look(ctx context.Context, examine func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	examine(ctx)
}

var errUnseen = errors.New("something could not be looked at")

// Run implements the command.
func (d *doctorCommand) Run(ctx context.Context, p *program) error {
	e := &examination{doctorCommand: d, p: p, findings: []finding{}}
	e.ok("program", "loanserve "+programVersion())
	e.database(ctx)
	look(ctx, e.store)
	if err := e.print(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	worst := error(nil)
	for _, f := range e.findings {
		switch {
		case f.Unseen:
			return errUnseen
		case f.Health != healthOK:
			worst = errFinding
		}
	}
	return worst
}

func (e *examination) print() error {
	if e.JSON {
		return printJSON(e.p.stdout, map[string]any{"findings": e.findings})
	}
	width := 0
	for _, f := range e.findings {
		width = max(width, len(f.Check))
	}
	for _, f := range e.findings {
		if _, err := fmt.Fprintf(e.p.stdout, "%-4s  %-*s  %s\n", f.Health, width, f.Check, f.Detail); err != nil {
			return err
		}
		if f.Next != "" {
			fmt.Fprintf(e.p.stdout, "      %-*s  -> %s\n", width, "", f.Next)
		}
	}
	return nil
}
