package testdb

import (
	"context"
	"errors"
)

// Lend makes a migrated database, calls f with the superuser's connection
// string, and drops the database when f has returned. It serves programs that
// are no tests. ctx bounds making the database, not f.
func Lend(ctx context.Context, f func(url string) error) (err error) {
	s, err := openServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	name, err := s.create(ctx, "lent", s.template)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		err = errors.Join(err, s.drop(ctx, name))
	}()
	return f(s.url(name))
}
