package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"loanserve/jobs"
)

// cli is every command with every setting. The tag "setting" names a flag's
// environment variable, which is also its name in a configuration file; the tag
// "secret" lets the value come from a file of its own. See settings.go.
type cli struct {
	Config    string    `placeholder:"FILE" type:"path" setting:"LOANSERVE_CONFIG" help:"File of NAME=VALUE lines, where NAME is one of the variables named here."`
	LogLevel  logLevel  `placeholder:"LEVEL" default:"info" setting:"LOANSERVE_LOG_LEVEL" help:"debug, info, warn or error; info otherwise."`
	LogFormat logFormat `placeholder:"FORMAT" setting:"LOANSERVE_LOG_FORMAT" help:"json or text; otherwise text on a terminal and json elsewhere."`

	Demo       demoCommand       `cmd:"" help:"Do real work on a portfolio of invented loans, in front of you."`
	Serve      serveCommand      `cmd:"" help:"Serve the HTTP API."`
	Work       workCommand       `cmd:"" help:"Work jobs, and serve no API."`
	Migrate    migrateCommand    `cmd:"" help:"Bring the database to this program's schema, or show how far it is."`
	Check      checkCommand      `cmd:"" help:"Check that what is stored is in order."`
	Undelete   undeleteCommand   `cmd:"" help:"Put back what one transaction deleted."`
	Doctor     doctorCommand     `cmd:"" help:"Look at all that has to be in order, and say what to do; exit code 1 when something is not, 2 when something cannot be seen."`
	Bench      benchCommand      `cmd:"" help:"Measure what this machine and its PostgreSQL give, in a database of its own that is dropped at the end."`
	Queue      queueCommand      `cmd:"" help:"Look at the queues of jobs, pause and resume them, and have failed jobs tried again."`
	Token      tokenCommand      `cmd:"" help:"Create, list and revoke the tokens of API clients."`
	User       userCommand       `cmd:"" help:"Create, list, disable and delete users, and give them roles and passwords."`
	Backup     backupCommand     `cmd:"" help:"Make, list, verify and prune backups."`
	Restore    restoreCommand    `cmd:"" help:"Restore a backup into a new directory or an empty database."`
	Recover    recoverCommand    `cmd:"" help:"Bring back what a transaction deleted, and keep what was written since."`
	Completion completionCommand `cmd:"" help:"Print what makes a shell complete command lines: source <(loanserve completion bash)."`
	Complete   completeCommand   `cmd:"" hidden:"" help:"Print the candidates for the last word of a command line."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
	OpenAPI    openAPICommand    `cmd:"" name:"openapi" help:"Print the API's contract (OpenAPI 3.1) as YAML."`
	Metrics    metricsCommand    `cmd:"" help:"Print what the program exports for Prometheus, as Markdown."`
}

// databaseFlags are for every command that needs a database.
type databaseFlags struct {
	DatabaseURL databaseURL `name:"database-url" required:"" placeholder:"URL" setting:"DATABASE_URL" secret:"" help:"PostgreSQL to use: postgres://user@host:5432/database."`
}

// zoneFlags are for the commands to which a calendar day is one of a place.
type zoneFlags struct {
	TimeZone timeZone `default:"America/New_York" placeholder:"NAME" setting:"LOANSERVE_TIME_ZONE" help:"Time zone that the deployment's days and hours are of, by its name in the IANA database; America/New_York otherwise. The same in every process."`
}

// receiptFlags are for the commands that take payments.
type receiptFlags struct {
	CutOff cutOff `default:"17:00" placeholder:"HH:MM" setting:"LOANSERVE_CUT_OFF" help:"Hour from which on a payment that states the instant of its receipt is credited as of the next calendar day; 17:00 otherwise, and 24:00 for none."`
}

// processFlags are for the commands that stay up.
type processFlags struct {
	databaseFlags
	zoneFlags

	CloseDayAt       closeHour        `default:"00:30" placeholder:"HH:MM" setting:"LOANSERVE_CLOSE_DAY_AT" help:"Hour from which on workers close the day before, and off to leave that to whoever calls the API; 00:30 otherwise. The same in every process that works jobs."`
	AdminListen      address          `default:"127.0.0.1:8081" placeholder:"ADDRESS" setting:"LOANSERVE_ADMIN_LISTEN" help:"Address of /livez, /readyz, /metrics and /debug/pprof, which must not be reachable from outside; 127.0.0.1:8081 otherwise."`
	PoolSize         count            `default:"20" placeholder:"N" setting:"LOANSERVE_POOL_SIZE" help:"Most database connections of this process; 20 otherwise. Payments are posted in sets, so that more workers need no more of them."`
	StopTimeout      time.Duration    `default:"30s" placeholder:"DURATION" setting:"LOANSERVE_STOP_TIMEOUT" help:"How long requests and jobs may take to finish after SIGTERM before they are cut off; 30s otherwise."`
	SessionGrace     lifetime         `default:"24h" placeholder:"DURATION" setting:"LOANSERVE_SESSION_GRACE" help:"How long sessions that have ended are kept before workers delete them; 24h otherwise."`
	AttemptRetention retention        `default:"90d" placeholder:"DURATION" setting:"LOANSERVE_LOGIN_ATTEMPT_RETENTION" help:"How long attempts to log in are kept before workers delete them, at least 24h; 90d otherwise."`
	HistoryRetention historyTime      `default:"400d" placeholder:"DURATION" setting:"LOANSERVE_HISTORY_RETENTION" help:"How long workers keep what rows were before they were changed, at least 90d; 400d otherwise."`
	Servicer         servicerFlags    `embed:"" prefix:"servicer-"`
	AllowDrift       bool             `setting:"LOANSERVE_ALLOW_DRIFT" help:"Start although the database differs from what the migrations make in a way that breaks the program or takes protection away. Each difference is a warning in the log."`
	Backup           nightlyFlags     `embed:"" prefix:"backup-"`
	WebhookAllow     []networkSetting `sep:"," placeholder:"NETWORK" setting:"LOANSERVE_WEBHOOK_ALLOW" help:"Network that is not public and that webhooks may be sent to, also by HTTP, such as 10.1.2.0/24, once for each; otherwise they go to public addresses by HTTPS alone. The same in every process."`
	WebhookRetention webhookTime      `default:"30d" placeholder:"DURATION" setting:"LOANSERVE_WEBHOOK_RETENTION" help:"How long workers keep what webhooks have told and what became of it, at least 7d; 30d otherwise."`
	DrainDelay       time.Duration    `default:"0s" placeholder:"DURATION" setting:"LOANSERVE_DRAIN_DELAY" help:"How long /readyz fails after SIGTERM before connections are refused, for load balancers to notice; 0s otherwise."`
}

// servicerFlags say who sends the statements that borrowers get.
type servicerFlags struct {
	Name    statementText `placeholder:"NAME" setting:"LOANSERVE_SERVICER_NAME" help:"Who sends statements to borrowers. Without it this process makes none, and leaves them to others."`
	Address statementText `placeholder:"ADDRESS" setting:"LOANSERVE_SERVICER_ADDRESS" help:"Where borrowers write to, in one line; needed with the name."`
	Phone   statementText `placeholder:"NUMBER" setting:"LOANSERVE_SERVICER_PHONE" help:"Where borrowers call; needed with the name."`
}

var errServicer = errors.New("--servicer-name, --servicer-address, --servicer-phone: give all of them, or none")

// Validate implements kong.Validatable, for the commands that have these flags.
func (f *processFlags) Validate() error {
	s := f.Servicer
	if (s.Name == "") != (s.Address == "") || (s.Name == "") != (s.Phone == "") {
		return errServicer
	}
	return f.Backup.check()
}

const description = `LoanServe services mortgage loans: HTTP clients submit requests, workers
do the work, PostgreSQL keeps the books.

A flag has precedence over its environment variable, and that over the
configuration file. A secret can also be the content of a file, named by the
variable with _FILE appended. Exit codes: 0 done, 1 done and something is not
in order, 2 failed, 80 called wrongly.`

// command is a parsed command line, ready to run.
type command struct {
	context  *kong.Context
	settings *cli
}

func (c *command) run(ctx context.Context) error {
	c.context.BindTo(ctx, (*context.Context)(nil))
	return c.context.Run()
}

// parse reads the command line and all settings. It returns no command when
// there is nothing left to do: help was shown, or a mistake was reported.
func (p *program) parse(args []string) (*command, int) {
	var c cli
	exited := false
	parser, err := kong.New(&c,
		kong.Name("loanserve"), kong.Description(description),
		kong.Vars{
			"scopes": strings.Join(allScopes(), ", "), "roles": strings.Join(allRoles(), ", "),
			"roleEnum": strings.Join(allRoles(), ","), "queues": strings.Join(jobs.Queues(), ", "),
		},
		kong.Writers(p.stdout, p.stderr), kong.Exit(func(int) { exited = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.ValueFormatter(helpText),
		kong.Resolvers(&settings{env: p.env}),
		kong.Bind(p, &c),
	)
	if err != nil {
		panic(err) // The struct above is wrong, which any test shows.
	}
	context, err := parser.Parse(args)
	if exited {
		return nil, exitOK
	}
	if err != nil {
		fmt.Fprintf(p.stderr, "loanserve: %v%s\n", err, missing(err))
		return nil, exitUsage
	}
	return &command{context: context, settings: &c}, exitOK
}
