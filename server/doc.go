// Package server is the HTTP API: it checks a request, stores it, enqueues the
// work and answers. It never computes money.
//
// Routes live on one chi router and are described by huma, from which the
// OpenAPI contract is generated. Three things are done here and not by huma,
// each in one place: every error is a problem (problem.go), every request body
// is read and checked (body.go, check.go), and every operation names the one
// scope it needs (operation.go, auth.go).
package server
