package promserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// startTimeout is how long a server may take to be ready.
	startTimeout = time.Minute
	// pollEvery paces waiting for it.
	pollEvery = 50 * time.Millisecond
	// stopTimeout is how long it may take to end before it is killed.
	stopTimeout = 10 * time.Second
)

// Server is a running Prometheus.
type Server struct {
	URL string

	cmd   *exec.Cmd
	said  output
	ended chan struct{}
}

// output keeps what a process says.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

// String implements fmt.Stringer.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Start runs a Prometheus on a free port with the configuration, whose files are told
// from the directory, in which it also keeps its data, and returns when it is ready.
func (p Programs) Start(ctx context.Context, dir, config string) (_ *Server, err error) {
	path := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	s := &Server{URL: "http://" + address, ended: make(chan struct{})}
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), p.Prometheus,
		"--config.file", path, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address)
	s.cmd.Stdout, s.cmd.Stderr = &s.said, &s.said
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start Prometheus: %w", err)
	}
	go func() { _ = s.cmd.Wait(); close(s.ended) }()
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, s.Stop())
		}
	}()
	return s, s.awaitReady(ctx)
}

// freeAddress is one that nobody listens on, for the moment.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		if res, err := s.get(ctx, "/-/ready", nil); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ticker.C:
		case <-s.ended:
			return errors.New("it ended before it was ready")
		case <-ctx.Done():
			return fmt.Errorf("wait for Prometheus: %w", ctx.Err())
		}
	}
}

// Stop ends the server and returns what it said.
func (s *Server) Stop() string {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(stopTimeout):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	return s.said.String()
}

func (s *Server) get(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

// api asks the HTTP API and reads the data of its answer into data.
func (s *Server) api(ctx context.Context, path string, query url.Values, data any) error {
	res, err := s.get(ctx, "/api/v1/"+path, query)
	if err != nil {
		return fmt.Errorf("ask Prometheus: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		Status string          `json:"status"`
		Error  string          `json:"error"`
		Data   json.RawMessage `json:"data"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read answer of Prometheus: %w", err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("ask Prometheus %s: %s", query, answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// Sample is one series with its value at an instant.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// Query evaluates an expression now; its result is a vector.
func (s *Server) Query(ctx context.Context, expr string) ([]Sample, error) {
	var vector struct {
		Result []struct {
			Metric map[string]string `json:"metric"`
			Value  [2]any            `json:"value"`
		} `json:"result"`
	}
	if err := s.api(ctx, "query", url.Values{"query": {expr}}, &vector); err != nil {
		return nil, err
	}
	var samples []Sample
	for _, r := range vector.Result {
		text, _ := r.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("read value: %w", err)
		}
		samples = append(samples, Sample{Labels: r.Metric, Value: value})
	}
	return samples, nil
}

// Alert is an alert that fires or is about to.
type Alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	State       string            `json:"state"`
}

// Alerts lists what fires or is about to.
func (s *Server) Alerts(ctx context.Context) ([]Alert, error) {
	var data struct {
		Alerts []Alert `json:"alerts"`
	}
	err := s.api(ctx, "alerts", nil, &data)
	return data.Alerts, err
}

// Rule is how a rule was last evaluated.
type Rule struct {
	Name   string
	Health string // ok, err or unknown
	Error  string
}

// Rules lists all rules.
func (s *Server) Rules(ctx context.Context) ([]Rule, error) {
	var data struct {
		Groups []struct {
			Rules []struct {
				Name      string `json:"name"`
				Health    string `json:"health"`
				LastError string
			} `json:"rules"`
		} `json:"groups"`
	}
	if err := s.api(ctx, "rules", nil, &data); err != nil {
		return nil, err
	}
	var rules []Rule
	for _, group := range data.Groups {
		for _, r := range group.Rules {
			rules = append(rules, Rule{Name: r.Name, Health: r.Health, Error: r.LastError})
		}
	}
	return rules, nil
}
