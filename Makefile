# Two commands: "make demo" shows it at work, "make test" proves it. Both bring
# up a private PostgreSQL of their own; set DATABASE_URL to use another server.
#
# Every recipe needs Go, bash and make (3.81 or newer), and nothing else.

SHELL := bash
.DEFAULT_GOAL := help

# What narrows a target: make test PKG=./jobs RUN=TestPostPayment
PKG      ?= ./...
RUN      ?=
ARGS     ?=
FUZZTIME ?= 30s
TIMEOUT  ?= 15m

# One setting for all commands, so that they share what is compiled. Nothing here
# needs C; the race detector does, and turns it on for itself.
CGO_ENABLED ?= 0
export CGO_ENABLED

VERSION = $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# WITHPG lends a command a private server; WITHDB lends it a migrated database.
WITHPG = go run ./internal/pgcluster/withpg --
WITHDB = go run ./internal/testdb/withdb --

# Tools are pinned in tools/go.mod and built by Go, once per version.
TOOL     = go tool -modfile=tools/go.mod
SQLC     = $(TOOL) sqlc
# Its own cache goes beside Go's, which is writable wherever Go works.
GOLANGCI = GOLANGCI_LINT_CACHE="$${GOLANGCI_LINT_CACHE:-$$(go env GOCACHE)/golangci-lint}" $(TOOL) golangci-lint

GOTEST = go test -shuffle=on$(if $(RUN), -run '$(RUN)')

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z\/]*:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## compile bin/loanserve
	go build -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o bin/loanserve ./cmd/loanserve

.PHONY: generate
generate: ## write queries/*.go from the SQL, api/openapi.yaml and docs/metrics.md from the code
	$(SQLC) generate
	@set -euo pipefail; \
	new="$$(mktemp)"; trap 'rm -f "$$new"' EXIT; \
	echo 'go run ./cmd/loanserve openapi > api/openapi.yaml'; \
	go run ./cmd/loanserve openapi > "$$new"; \
	mkdir -p api; cat "$$new" > api/openapi.yaml; \
	echo 'go run ./cmd/loanserve metrics > docs/metrics.md'; \
	go run ./cmd/loanserve metrics > "$$new"; \
	cat "$$new" > docs/metrics.md

.PHONY: generate/schema
generate/schema: ## write what the migrations make to migrations/expected_schema.*.txt
	go run ./internal/testdb/writeschema

.PHONY: migrate
migrate: ## bring the database at DATABASE_URL to the newest schema
	go run ./cmd/loanserve migrate up

.PHONY: demo
demo: build ## do real work in front of you (ARGS=--exit stops when it is done)
	bin/loanserve demo $(ARGS)

.PHONY: test
test: ## run every test (PKG=./jobs RUN=TestPost narrows)
	$(WITHPG) $(GOTEST) -timeout $(TIMEOUT) $(PKG)
	@$(if $(filter ./...,$(PKG)),$(GOTEST:go%=go -C tools%) ./...)

.PHONY: incident
incident: ## lose 19 of 23 loans to somebody with all rights, and bring them back
	$(WITHPG) go test -count=1 -timeout $(TIMEOUT) -v -run '^TestIncident$$' ./internal/incident

.PHONY: test/race
test/race: ## the same with the race detector
	@set -euo pipefail; \
	cc="$$(go env CC)"; \
	if command -v "$${cc%% *}" >/dev/null; then \
	  printf '%s\n' "CGO_ENABLED=1 $(WITHPG) $(GOTEST) -race -timeout $(TIMEOUT) $(PKG)"; \
	  CGO_ENABLED=1 $(WITHPG) $(GOTEST) -race -timeout $(TIMEOUT) $(PKG); \
	else \
	  echo "No C compiler ($$cc): the race detector needs one. Running without it."; \
	  $(WITHPG) $(GOTEST) -timeout $(TIMEOUT) $(PKG); \
	fi

.PHONY: test/long
test/long: ## the same at full scale: more loans, payments, races and kills
	LOANSERVE_TEST_LONG=1 $(WITHPG) $(GOTEST) -timeout 60m $(PKG)

# The server is built into Go's cache, once for each version.
.PHONY: test/store
test/store: RUN := $(or $(RUN),^Test(Store|Put|Names|Object|Bucket))
test/store: ## the tests of the store of backups, with an S3-compatible server
	@set -euo pipefail; \
	export LOANSERVE_TEST_VERSITYGW="$$(cd tools/s3 && go tool -n versitygw)"; \
	printf '%s\n' "$(GOTEST) -timeout $(TIMEOUT) ./backup/..."; \
	$(GOTEST) -timeout $(TIMEOUT) ./backup/...

# Prometheus is found, or fetched once.
.PHONY: test/alerts
test/alerts: ## the tests of alerts and dashboard, with a Prometheus
	LOANSERVE_TEST_ALERTS=1 $(WITHPG) $(GOTEST) -timeout $(TIMEOUT) ./internal/alerts

# Node.js and npm are needed; what npm brings stays in tools/contract.
.PHONY: test/contract
test/contract: ## the contract before judges of others, and a generated client at work (needs Node.js)
	@tools/contract/run

.PHONY: test/browser
test/browser: ## the pages in a real Chromium (needs Node.js; LOANSERVE_SCREENSHOTS=DIRECTORY)
	@tools/browser/run

.PHONY: fuzz fuzz/each
fuzz: ## fuzz every target for FUZZTIME (30s)
	@$(WITHPG) $(MAKE) --no-print-directory fuzz/each

# The workers of a target are processes, and share the server too.
fuzz/each:
	@set -euo pipefail; \
	found=0; names=(); \
	list="$$(go test -list '^Fuzz' $(PKG))" || { printf '%s\n' "$$list"; exit 1; }; \
	while read -r word package _; do \
	  case "$$word" in \
	  Fuzz*) names+=("$$word") ;; \
	  ok) for name in $${names[@]+"$${names[@]}"}; do \
	        found=$$((found + 1)); \
	        echo "== fuzz $$package $$name"; \
	        go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null; \
	      done; names=() ;; \
	  esac; \
	done <<< "$$list"; \
	echo "== fuzzed $$found targets for $(FUZZTIME) each"; \
	(( found > 0 ))

.PHONY: bench
bench: ## measure throughput and latency (ARGS=... is passed on)
	go run ./internal/bench $(ARGS)

.PHONY: lint
lint: ## report what the linters find
	@$(GOLANGCI) config verify
	@$(GOLANGCI) run

.PHONY: fmt
fmt: ## format the Go code
	@$(GOLANGCI) fmt

# The steps of verify, cheap ones first. Each is a target: make verify/vuln
STEPS := tidy fmt vet migrations sqlc queries schema openapi metrics lint vuln

.PHONY: verify $(addprefix verify/,$(STEPS))
verify: ## check all that needs no test: modules, format, SQL, contract, linters
	@start=$$SECONDS; \
	for step in $(STEPS); do \
	  printf '\n== verify/%s\n' "$$step"; \
	  began=$$SECONDS; \
	  if ! $(MAKE) --no-print-directory verify/$$step; then \
	    printf '\nverify: %s failed after %ds; alone: make verify/%s\n' "$$step" $$((SECONDS - began)) "$$step" >&2; \
	    exit 1; \
	  fi; \
	  printf 'ok    verify/%s %ds\n' "$$step" $$((SECONDS - began)); \
	done; \
	printf '\nverify: all good in %ds\n' $$((SECONDS - start))

verify/tidy:
	@go mod tidy -diff || { echo 'go.mod is not tidy: run "go mod tidy"' >&2; exit 1; }
	@cd tools && go mod tidy -diff || { echo 'tools/go.mod is not tidy: run "go mod tidy" in tools' >&2; exit 1; }
	@cd tools/s3 && go mod tidy -diff || { echo 'tools/s3/go.mod is not tidy: run "go mod tidy" in tools/s3' >&2; exit 1; }

verify/fmt:
	@$(GOLANGCI) fmt --diff || { echo 'the code is not formatted: run "make fmt"' >&2; exit 1; }

verify/vet:
	@go vet ./...

# What the last release asks of the schema must still be there; before there is a
# tag, what this one asks.
verify/migrations:
	@set -euo pipefail; \
	asked="$$PWD/queries"; tag="$$(git describe --tags --abbrev=0 2>/dev/null || true)"; \
	if [[ -n "$$tag" ]]; then \
	  asked="$$(mktemp -d)"; trap 'rm -rf "$$asked"' EXIT; \
	  git archive "$$tag" queries | tar -x -C "$$asked" --strip-components=1; \
	fi; \
	go -C tools run ./sqllint -queries "$$asked" "$$PWD/migrations"

.PHONY: migrations/list
migrations/list: ## list a new migration with its checksum: it never changes then
	@go -C tools run ./sqllint -list "$$PWD/migrations"

verify/sqlc:
	@$(SQLC) diff || { echo 'queries/*.go is not what the SQL says: run "make generate"' >&2; exit 1; }

# Every query is prepared on a database that our own migrations have made.
verify/queries:
	@$(WITHDB) $(SQLC) vet

verify/schema:
	@go run ./internal/testdb/writeschema -check

verify/openapi:
	@set -euo pipefail; \
	new="$$(mktemp)"; trap 'rm -f "$$new"' EXIT; \
	go run ./cmd/loanserve openapi > "$$new"; \
	diff -u api/openapi.yaml "$$new" || { echo 'api/openapi.yaml is not what the code says: run "make generate"' >&2; exit 1; }

verify/metrics:
	@set -euo pipefail; \
	new="$$(mktemp)"; trap 'rm -f "$$new"' EXIT; \
	go run ./cmd/loanserve metrics > "$$new"; \
	diff -u docs/metrics.md "$$new" || { echo 'docs/metrics.md is not what the code says: run "make generate"' >&2; exit 1; }

verify/lint: lint

# Exit code 3 is a finding and fails. Only an unreachable database of
# vulnerabilities is forgiven, so that work goes on offline.
verify/vuln:
	@set -euo pipefail; \
	code=0; out="$$($(TOOL) govulncheck ./... 2>&1)" || code=$$?; \
	if (( code == 1 )) && [[ "$$out" == *'fetching vulnerabilities'* || "$$out" == *'creating client'* ]]; then \
	  echo "Skipped: the vulnerability database is not reachable ($${out##*: })."; \
	else \
	  printf '%s\n' "$$out"; exit $$code; \
	fi

.PHONY: clean
clean: ## remove what the build made; never a database
	rm -rf bin dist
	rm -f coverage.* *.test *.prof *.out
