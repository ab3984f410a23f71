package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"loanserve/recovery"
)

type recoverFindCommand struct {
	storeFlags
	keyFlags
	migrateFlags

	Since moment `placeholder:"TIME" help:"Show what was committed at this time or later, from the physical backup before it on; from the newest one on otherwise."`
}

// Run implements the command.
func (f *recoverFindCommand) Run(ctx context.Context, p *program, c *cli) error {
	url, err := f.url()
	if err != nil {
		return err
	}
	s, err := f.open(ctx, p)
	if err != nil {
		return err
	}
	options, err := f.options(s)
	if err != nil {
		return err
	}
	shown := newProgress(p.stderr, p.logger(c, slog.LevelDebug))
	options.Progress = watchBytes(shown, "read the archived WAL")
	found, err := recovery.Find(ctx, options, url, f.Since.Time)
	shown.clear()
	if err != nil {
		return err
	}
	if f.JSON {
		return printJSON(p.stdout, found)
	}
	return f.print(p, found)
}

func (f *recoverFindCommand) print(p *program, found *recovery.Search) error {
	if len(found.Takings) > 0 {
		t := newTable(" TRANSACTION", "COMMITTED AT", " LOANS", "ROWS DELETED", " FILES DROPPED")
		for _, of := range found.Takings {
			var rows []string
			for _, table := range slices.Sorted(maps.Keys(of.Deleted)) {
				rows = append(rows, fmt.Sprintf("%s %d", table, of.Deleted[table]))
			}
			t.add(strconv.FormatUint(of.XID, 10), of.CommittedAt.Format(time.RFC3339Nano),
				strconv.FormatInt(of.Deleted["loans"], 10), strings.Join(rows, ", "), strconv.Itoa(of.Dropped))
		}
		if err := t.print(p.stdout); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(p.stdout, "no transaction deleted rows of loans, as far as WAL is archived")
	}
	if found.Gap != "" {
		fmt.Fprintf(p.stderr, "loanserve: not all was read: %s\n", found.Gap)
	}
	fmt.Fprintf(p.stdout, "the WAL was read from backup %s on, which began at %s\n",
		found.Backup, found.From.Format(time.RFC3339))
	if len(found.Missing) == 0 {
		_, err := fmt.Fprintln(p.stdout, "no loan is missing")
		return err
	}
	names := make([]string, len(found.Missing))
	for i, l := range found.Missing {
		names[i] = fmt.Sprintf("%s (%d)", l.Number, l.ID)
	}
	_, err := fmt.Fprintf(p.stdout, "%d loans are missing: %s\n", len(names), strings.Join(names, ", "))
	return err
}
