package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"loanserve/backup"
	"loanserve/backup/store"
	"loanserve/internal/database"
	"loanserve/jobs"
)

// storeFlags are for every command that needs the store of backups.
type storeFlags struct {
	BackupURL storeURL `name:"backup-url" required:"" placeholder:"URL" setting:"LOANSERVE_BACKUP_URL" help:"Where backups are: file:///DIRECTORY or s3://BUCKET/PREFIX?endpoint=https://HOST; the credentials of S3 are in $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY."`
}

func (f *storeFlags) open(ctx context.Context, p *program) (store.Store, error) {
	return store.Open(ctx, string(f.BackupURL), p.getenv)
}

// getenv reads the environment as os.Getenv does.
func (p *program) getenv(name string) string {
	value, _ := p.env(name)
	return value
}

// keyFlags are for every command that reads backups.
type keyFlags struct {
	Identity identityFile `placeholder:"FILE" type:"path" setting:"LOANSERVE_BACKUP_IDENTITY" help:"File of age identities (secret keys), to read encrypted backups."`
	Scratch  string       `placeholder:"DIRECTORY" type:"path" setting:"LOANSERVE_BACKUP_SCRATCH" help:"Where to restore what is only needed meanwhile, with room for the whole database; the system's temporary directory otherwise."`
}

func (f *keyFlags) options(s store.Store) (backup.RestoreOptions, error) {
	identities, err := f.Identity.read()
	return backup.RestoreOptions{Store: s, Identities: identities, Scratch: f.Scratch}, err
}

// recipientFlags say for whom backups are encrypted.
type recipientFlags struct {
	Recipient []recipient `placeholder:"KEY" sep:"," setting:"LOANSERVE_BACKUP_RECIPIENTS" help:"age recipient (public key) that can decrypt the backup, once for each; without any it is not encrypted."`
}

func (f *recipientFlags) recipients() []age.Recipient {
	var all []age.Recipient
	for _, r := range f.Recipient {
		all = append(all, r.Recipient)
	}
	return all
}

// storeURL names a store of backups.
type storeURL string

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *storeURL) UnmarshalText(text []byte) error {
	*u = storeURL(text)
	return store.Check(string(text))
}

// recipient is a public key of age.
type recipient struct{ age.Recipient }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *recipient) UnmarshalText(text []byte) error {
	list, err := age.ParseRecipients(strings.NewReader(string(text)))
	if err != nil || len(list) != 1 {
		return errors.New("must be a public key of age, such as age1…")
	}
	r.Recipient = list[0]
	return nil
}

// identityFile is the path of a file of secret keys; "" is none.
type identityFile string

// read reads the keys. Its errors have nothing of them.
func (f identityFile) read() ([]age.Identity, error) {
	if f == "" {
		return nil, nil
	}
	file, err := os.Open(string(f))
	if err != nil {
		return nil, fmt.Errorf("read the file of identities: %w", err)
	}
	defer file.Close()
	identities, err := age.ParseIdentities(file)
	if err != nil {
		return nil, fmt.Errorf("%s holds no age identities", string(f))
	}
	return identities, nil
}

// backupKind is a kind of backup.
type backupKind backup.Kind

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *backupKind) UnmarshalText(text []byte) error {
	if !slices.Contains(backup.Kinds(), backup.Kind(text)) {
		return errors.New("must be physical or logical")
	}
	*k = backupKind(text)
	return nil
}

// sourceFlags name the database to back up, by a login that may read all of it.
type sourceFlags struct {
	BackupDatabaseURL databaseURL `name:"backup-database-url" placeholder:"URL" setting:"LOANSERVE_BACKUP_DATABASE_URL" secret:"" help:"PostgreSQL by a login that may become loanserve_backup, with the attribute REPLICATION for physical backups; otherwise that of --database-url."`
	DatabaseURL       databaseURL `name:"database-url" placeholder:"URL" setting:"DATABASE_URL" secret:"" help:"PostgreSQL to use: postgres://user@host:5432/database."`
}

func (f *sourceFlags) url() (string, error) {
	if f.BackupDatabaseURL != "" {
		return string(f.BackupDatabaseURL), nil
	}
	if f.DatabaseURL == "" {
		return "", usageError{errors.New("missing flags: --database-url or --backup-database-url " +
			"($DATABASE_URL, $LOANSERVE_BACKUP_DATABASE_URL)")}
	}
	return string(f.DatabaseURL), nil
}

// isDatabase says whether the target of a restore is a database and no directory.
func isDatabase(target string) bool {
	return (strings.HasPrefix(target, "postgres://") || strings.HasPrefix(target, "postgresql://")) &&
		database.Check(target) == nil
}

// megabytes shows bytes as people read them.
func megabytes(bytes int64) string {
	const mega = 1_000_000
	return fmt.Sprintf("%.1f MB", float64(bytes)/mega)
}

// watchBytes returns what shows on a terminal how many bytes are done.
func watchBytes(p *progress, what string) func(done, total int64) {
	const mega = 1_000_000
	last := int64(-1)
	return func(done, total int64) {
		if done/mega == last {
			return
		}
		last = done / mega
		if total > 0 {
			p.line(fmt.Sprintf("%s: %d of about %d MB", what, last, max(last, total/mega)))
		} else {
			p.line(fmt.Sprintf("%s: %d MB", what, last))
		}
	}
}

// nightlyFlags are for the processes that work jobs, and so make backups.
type nightlyFlags struct {
	keyFlags
	recipientFlags
	retentionFlags

	URL         storeURL     `name:"url" placeholder:"URL" setting:"LOANSERVE_BACKUP_URL" help:"Where backups are: file:///DIRECTORY or s3://BUCKET/PREFIX?endpoint=https://HOST. Without it this process makes none, and leaves them to others."`
	DatabaseURL databaseURL  `name:"database-url" placeholder:"URL" setting:"LOANSERVE_BACKUP_DATABASE_URL" secret:"" help:"PostgreSQL by a login that may become loanserve_backup, with the attribute REPLICATION for physical backups; otherwise that of --database-url."`
	Kinds       []backupKind `sep:"," default:"physical,logical" placeholder:"KIND" setting:"LOANSERVE_BACKUP_KINDS" help:"Kinds that are made every night: physical (the whole server), logical (the database); both otherwise."`
	At          closeHour    `default:"02:00" placeholder:"HH:MM" setting:"LOANSERVE_BACKUP_AT" help:"Hour from which on the night's backups are made, and off to leave that to whoever asks; 02:00 otherwise. The same in every process that works jobs."`
	WAL         onOff        `name:"wal" default:"off" placeholder:"on|off" setting:"LOANSERVE_BACKUP_WAL" help:"Archive the server's write-ahead log as it is written, so that every moment can be restored; off otherwise. The server then keeps what is not archived yet: set max_slot_wal_keep_size on it."`
	WALInterval walInterval  `name:"wal-interval" default:"5s" placeholder:"DURATION" setting:"LOANSERVE_BACKUP_WAL_INTERVAL" help:"How long the log waits at most before it is stored, which is what a lost site loses; 5s otherwise."`
}

// onOff is a setting that is on or off.
type onOff bool

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *onOff) UnmarshalText(text []byte) error {
	switch string(text) {
	case "on":
		*o = true
	case "off":
		*o = false
	default:
		return errors.New("must be on or off")
	}
	return nil
}

// walInterval is how long WAL waits at most until it is stored.
type walInterval time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *walInterval) UnmarshalText(text []byte) error {
	const shortest, longest = 100 * time.Millisecond, 5 * time.Minute
	d, err := time.ParseDuration(string(text))
	if err != nil || d < shortest || d > longest {
		return errors.New("must be a duration from 100ms to 5m, such as 5s")
	}
	*i = walInterval(d)
	return nil
}

var errNoIdentity = errors.New("--backup-identity: is needed with --backup-recipient, to verify what was encrypted " +
	"($LOANSERVE_BACKUP_IDENTITY)")

var errNoWALStore = errors.New(
	"--backup-wal: is on, and --backup-url names no store to archive into ($LOANSERVE_BACKUP_URL)")

func (f *nightlyFlags) check() error {
	if f.URL == "" && bool(f.WAL) {
		return errNoWALStore
	}
	if f.URL != "" && len(f.Recipient) > 0 && f.Identity == "" {
		return errNoIdentity
	}
	return nil
}

// backups are what the flags say of backups; nil where there is no store.
func (f *processFlags) backups(p *program) (*jobs.Backups, error) {
	b := f.Backup
	if b.URL == "" {
		return nil, nil //nolint:nilnil // That is how a worker is told that it makes none.
	}
	identities, err := b.Identity.read()
	if err != nil {
		return nil, err
	}
	url := b.DatabaseURL
	if url == "" {
		url = f.DatabaseURL
	}
	made := &jobs.Backups{
		Open:        func(ctx context.Context) (store.Store, error) { return store.Open(ctx, string(b.URL), p.getenv) },
		DatabaseURL: string(url), Recipients: b.recipients(), Identities: identities, Scratch: b.Scratch,
		Retention: b.retention(), Program: programVersion(), Zone: f.TimeZone.Location, At: b.At.at,
		WAL: bool(b.WAL), WALInterval: time.Duration(b.WALInterval),
	}
	if !b.At.off {
		for _, kind := range b.Kinds {
			made.Kinds = append(made.Kinds, backup.Kind(kind))
		}
	}
	return made, nil
}
