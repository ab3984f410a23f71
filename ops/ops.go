package ops

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"time"

	"github.com/go-chi/chi/v5"
)

// Root is where the pages are.
const Root = "/ops"

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// Options are what the pages need.
type Options struct {
	// API answers the requests that the pages make, as it answers any client's.
	API http.Handler
	// Jobs are the queue's own pages, at Root/jobs, behind a guard of their own.
	Jobs http.Handler
	// Zone is where the deployment is at home: the zone in which instants are shown.
	Zone *time.Location
}

// Pages is the operations page.
type Pages struct {
	api       http.Handler
	zone      *time.Location
	templates *template.Template
	assets    map[string]asset
	actions   map[string]*action
	router    *chi.Mux
}

// asset is a file that the pages load.
type asset struct {
	body      []byte
	mediaType string
	version   string // of its content
}

// New returns the pages.
func New(o Options) (*Pages, error) {
	p := &Pages{api: o.API, zone: o.Zone, assets: map[string]asset{}, actions: map[string]*action{}, router: chi.NewMux()}
	if err := p.loadAssets(); err != nil {
		return nil, err
	}
	templates, err := template.New("").Funcs(p.functions()).ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	p.templates = templates
	p.route(o.Jobs)
	return p, nil
}

// Handler returns the handler of everything below Root.
func (p *Pages) Handler() http.Handler { return p.router }

// route says what is where.
func (p *Pages) route(jobs http.Handler) {
	r := p.router
	r.Use(headers)
	r.NotFound(p.notFound)
	r.MethodNotAllowed(p.notFound)
	r.Get("/assets/{name}", p.asset)
	r.Get("/login", p.loginForm)
	r.Post("/login", p.login)
	r.Post("/logout", p.logout)
	r.Get("/", p.page(p.overview))
	p.routeLoans()
	p.routePayments()
	p.routeBatches()
	p.routeEscrow()
	p.routeLoanChanges()
	p.routeRuns()
	p.routeBackups()
	p.routeIntegrity()
	p.routeQueues()
	p.routePeople()
	p.routeActions()
	if jobs != nil {
		r.Handle("/jobs", p.jobs(jobs))
		r.Handle("/jobs/*", p.jobs(jobs))
	}
}

// policy lets pages load their own files and nothing else, and send forms here only.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// headers are those of every page. What they show is nobody else's and never kept.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		// With no-referrer browsers would not say either which site a form is from.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		next.ServeHTTP(w, r)
	})
}

func (p *Pages) loadAssets() error {
	mediaTypes := map[string]string{
		".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}
	files, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		return fmt.Errorf("open assets: %w", err)
	}
	names, err := fs.Glob(files, "*.*")
	if err != nil {
		return fmt.Errorf("list assets: %w", err)
	}
	for _, name := range names {
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return fmt.Errorf("read asset: %w", err)
		}
		hash := sha256.Sum256(body)
		p.assets[name] = asset{body: body, mediaType: mediaTypes[path.Ext(name)], version: hex.EncodeToString(hash[:6])}
	}
	return nil
}

// asset serves a file. Its address holds the version of its content, so that it may
// be kept for ever.
func (p *Pages) asset(w http.ResponseWriter, r *http.Request) {
	file, ok := p.assets[chi.URLParam(r, "name")]
	if !ok {
		p.notFound(w, r)
		return
	}
	w.Header().Set("Content-Type", file.mediaType)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(file.body) // Who hung up needs no answer.
}

// assetURL is where a file is.
func (p *Pages) assetURL(name string) (string, error) {
	file, ok := p.assets[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %s", name)
	}
	return Root + "/assets/" + name + "?v=" + file.version, nil
}
