package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"loanserve/queries"
	"loanserve/server"
)

// demoPeople are those who may log in to the operations page while the demo stays up:
// one for each kind of work that is kept apart.
var demoPeople = []struct{ name, fullName, role string }{
	{"olivia", "Olivia Operator", "operator"},
	{"amir", "Amir Approver", "approver"},
	{"ada", "Ada Admin", "admin"},
}

// admitPeople lets the demo's people log in, all with the same password, which is
// another one in each demo.
func (db *demoDatabase) admitPeople(ctx context.Context) (password string, err error) {
	password = rand.Text()
	return password, db.setPasswords(ctx, password)
}

// dismissPeople ends their sessions and gives them a password that nobody knows.
func (db *demoDatabase) dismissPeople(ctx context.Context) error {
	return db.setPasswords(ctx, rand.Text())
}

func (db *demoDatabase) setPasswords(ctx context.Context, password string) error {
	hash := server.HashPassword(password)
	return pgx.BeginFunc(ctx, db.owner, func(tx pgx.Tx) error {
		users, q := server.Users{Tx: tx}, queries.New(tx)
		for _, p := range demoPeople {
			user, err := q.GetUserByName(ctx, p.name)
			if errors.Is(err, pgx.ErrNoRows) {
				_, err = users.Create(ctx, server.Operator, queries.InsertUserParams{
					Name: p.name, FullName: p.fullName, PasswordHash: hash,
				}, []string{p.role})
			} else if err == nil {
				err = users.SetPassword(ctx, server.Operator, user.ID, hash)
			}
			if err != nil {
				return fmt.Errorf("admit %s: %w", p.name, err)
			}
		}
		return nil
	})
}

// demoPeopleNames lists their names, each with what he may do.
func demoPeopleNames() string {
	names := make([]string, len(demoPeople))
	for i, p := range demoPeople {
		names[i] = p.name + " (" + p.role + ")"
	}
	return strings.Join(names, ", ")
}
