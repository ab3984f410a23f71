package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"loanserve/internal/localday"
	"loanserve/internal/statement"
	"loanserve/jobs"
	"loanserve/server"
)

// serveCommand serves the API, and works jobs as well when asked to.
type serveCommand struct {
	processFlags
	receiptFlags

	Listen       address          `default:"127.0.0.1:8080" placeholder:"ADDRESS" setting:"LOANSERVE_LISTEN" help:"Address of the API; 127.0.0.1:8080 otherwise."`
	TrustedProxy []networkSetting `sep:"," placeholder:"NETWORK" setting:"LOANSERVE_TRUSTED_PROXIES" help:"Network of a proxy whose X-Forwarded-For is believed, such as 10.0.0.0/8, once for each; otherwise nobody's is."`
	Workers      count            `default:"0" placeholder:"N" setting:"LOANSERVE_WORKERS" help:"Also work jobs in this process, N payments at the same time; none otherwise."`

	OIDCIssuer   providerURL `name:"oidc-issuer" placeholder:"URL" setting:"LOANSERVE_OIDC_ISSUER" help:"OpenID provider whose access tokens (JWT, RFC 9068) are taken as bearer tokens, as they name it in iss; otherwise nobody's are."`
	OIDCAudience string      `name:"oidc-audience" placeholder:"NAME" setting:"LOANSERVE_OIDC_AUDIENCE" help:"What aud of such a token has to name: this deployment, as the provider knows it."`
	OIDCKeysURL  providerURL `name:"oidc-keys-url" placeholder:"URL" setting:"LOANSERVE_OIDC_KEYS_URL" help:"Where the provider's keys are (JWKS); otherwise where its metadata, below the issuer, say."`

	ReversalApproval bool `setting:"LOANSERVE_REVERSAL_APPROVAL" help:"Reversals of payments wait until another principal than asked for them has approved."`
	ChangeApproval   bool `setting:"LOANSERVE_CHANGE_APPROVAL" help:"Changes of rates and payments, and waivers of late charges, wait until another principal than asked for them has approved."`
}

var errOIDC = errors.New("--oidc-issuer and --oidc-audience: one needs the other, and --oidc-keys-url needs both")

// Validate implements kong.Validatable.
func (s *serveCommand) Validate() error {
	if (s.OIDCIssuer == "") != (s.OIDCAudience == "") || s.OIDCIssuer == "" && s.OIDCKeysURL != "" {
		return errOIDC
	}
	return s.processFlags.Validate()
}

// Run implements the command.
func (s *serveCommand) Run(ctx context.Context, p *program, c *cli) error {
	o, err := s.options(p, c)
	if err != nil {
		return err
	}
	o.listen, o.cutOff, o.workers = s.Listen, localday.Hour(s.CutOff), int(s.Workers)
	o.reversalApproval, o.changeApproval = s.ReversalApproval, s.ChangeApproval
	o.oidc = server.OIDC{
		Issuer: string(s.OIDCIssuer), Audience: s.OIDCAudience, KeysURL: string(s.OIDCKeysURL),
	}
	for _, n := range s.TrustedProxy {
		o.trustedProxies = append(o.trustedProxies, netip.Prefix(n))
	}
	return runProcess(ctx, o)
}

// workCommand works jobs.
type workCommand struct {
	processFlags

	Workers count `default:"200" placeholder:"N" setting:"LOANSERVE_WORKERS" help:"How many payments are worked at the same time; 200 otherwise."`
}

// Validate implements kong.Validatable.
func (w *workCommand) Validate() error {
	if w.Workers == 0 {
		return errNoWorkers
	}
	return w.processFlags.Validate()
}

// Run implements the command.
func (w *workCommand) Run(ctx context.Context, p *program, c *cli) error {
	o, err := w.options(p, c)
	if err != nil {
		return err
	}
	o.workers = int(w.Workers)
	return runProcess(ctx, o)
}

// options are what the flags say of the process.
func (f *processFlags) options(p *program, c *cli) (processOptions, error) {
	backups, err := f.backups(p)
	var webhookNetworks []netip.Prefix
	for _, n := range f.WebhookAllow {
		webhookNetworks = append(webhookNetworks, netip.Prefix(n))
	}
	return processOptions{
		webhookNetworks: webhookNetworks,
		databaseURL:     string(f.DatabaseURL), poolSize: int(f.PoolSize), adminListen: f.AdminListen,
		housekeeping: &jobs.Housekeeping{
			SessionGrace: time.Duration(f.SessionGrace), AttemptRetention: time.Duration(f.AttemptRetention),
			HistoryRetention: time.Duration(f.HistoryRetention), WebhookRetention: time.Duration(f.WebhookRetention),
		},
		checks:   true,
		timeZone: f.TimeZone.Location, closeDayAt: f.CloseDayAt,
		checkSchema: true, allowDrift: f.AllowDrift,
		stopTimeout: f.StopTimeout, drainDelay: f.DrainDelay, log: p.logger(c, slog.LevelDebug), backups: backups,
		servicer: statement.Servicer{
			Name: string(f.Servicer.Name), Address: string(f.Servicer.Address), Phone: string(f.Servicer.Phone),
		},
	}, err
}

// runProcess runs a process until ctx ends or a part of it fails.
func runProcess(ctx context.Context, o processOptions) error {
	process, err := startProcess(ctx, o)
	if err != nil {
		return err
	}
	return process.wait(ctx)
}
