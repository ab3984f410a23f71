// Package requestid takes the id of a request along, from where it is served to the
// jobs that it makes.
//
// Inside: where a context keeps the id. Not inside: which ids are taken from callers
// and who logs them, which is where requests are served and jobs are worked.
//
// The idea to hold: an id is a plain token that says nothing by itself, so that it
// can stand in logs and in the queue.
package requestid

import "context"

type key struct{}

// With returns a context of the request with the id; "" is none.
func With(ctx context.Context, id string) context.Context {
	if id == "" {
		return ctx
	}
	return context.WithValue(ctx, key{}, id)
}

// Of returns the id of the request that ctx belongs to, or "".
func Of(ctx context.Context) string {
	id, _ := ctx.Value(key{}).(string)
	return id
}
