package main

import (
	"fmt"
	"slices"
	"strings"
)

// statement looks at one statement, and at those within it.
func (l *linter) statement(s node) {
	for kind, v := range s {
		body, _ := v.(node)
		switch kind {
		case "CreateStmt":
			table := relation(body)
			l.created[table] = true
			for _, e := range list(body, "tableElts") {
				l.element(table, e)
			}
		case "IndexStmt":
			l.index(body)
		case "AlterTableStmt":
			table := relation(body)
			for _, c := range list(body, "cmds") {
				cmd, _ := c["AlterTableCmd"].(node)
				l.alter(table, cmd)
			}
		case "RenameStmt":
			l.rename(body)
		case "DropStmt":
			l.drop(body)
		case "TruncateStmt":
			l.find("data", "TRUNCATE removes all rows")
		case "VariableSetStmt":
			l.set(body)
		case "VacuumStmt", "ClusterStmt":
			l.find("rewrite", "it rewrites a table under an exclusive lock")
		}
	}
	l.writes(s)
}

// writes looks for DELETE and for UPDATE of everything, also within WITH.
func (l *linter) writes(v any) {
	switch v := v.(type) {
	case node:
		if d, ok := v["DeleteStmt"].(node); ok && l.old(relation(d)) {
			l.find("data", "DELETE FROM %s removes rows", relation(d))
		}
		if u, ok := v["UpdateStmt"].(node); ok && u["whereClause"] == nil && l.old(relation(u)) {
			l.find("data", "UPDATE %s changes every row", relation(u))
		}
		for _, part := range v {
			l.writes(part)
		}
	case []any:
		for _, part := range v {
			l.writes(part)
		}
	}
}

func (l *linter) index(s node) {
	table := relation(s)
	concurrently, _ := s["concurrent"].(bool)
	switch {
	case concurrently && !strings.Contains(l.file.text, "-- +goose NO TRANSACTION"):
		l.find("index", "CONCURRENTLY needs \"-- +goose NO TRANSACTION\" at the head of the file")
	case !concurrently && l.old(table):
		l.find("index", "nobody can write to %s while the index is built: use CONCURRENTLY", table)
	}
}

// element is a column or a constraint of a table that is made.
func (l *linter) element(table string, e node) {
	if c, ok := e["Constraint"].(node); ok {
		l.foreignKey(table, c)
	}
	if column, ok := e["ColumnDef"].(node); ok {
		for _, c := range list(column, "constraints") {
			if constraint, ok := c["Constraint"].(node); ok {
				l.foreignKey(table, constraint)
			}
		}
	}
}

// foreignKey wants a rule for deletion that loses nothing. What is nothing but a
// user's own may go with him, and may let go of him.
func (l *linter) foreignKey(table string, c node) {
	if c["contype"] != "CONSTR_FOREIGN" {
		return
	}
	target, _ := c["pktable"].(node)
	name, _ := target["relname"].(string)
	switch rule, _ := c["fk_del_action"].(string); rule {
	case "r":
	case "a", "":
		l.find("delete-rule", "the foreign key of %s to %s says nothing of ON DELETE", table, name)
	default:
		if name != "users" {
			l.find("delete-rule", "deleting from %s would change or remove rows of %s: say ON DELETE RESTRICT", name, table)
		}
	}
}

func (l *linter) alter(table string, cmd node) {
	def, _ := cmd["def"].(node)
	name, _ := cmd["name"].(string)
	switch cmd["subtype"] {
	case "AT_AddColumn":
		column, _ := def["ColumnDef"].(node)
		l.addColumn(table, column)
	case "AT_AddConstraint":
		c, _ := def["Constraint"].(node)
		l.foreignKey(table, c)
		l.addConstraint(table, c)
	case "AT_ValidateConstraint":
		l.validated[table] = true
	case "AT_AlterColumnType":
		if l.old(table) {
			l.find("rewrite", "changing the type of %s.%s may rewrite the table", table, name)
		}
	case "AT_SetNotNull":
		if l.old(table) && !l.validated[table] {
			l.find("not-null", "NOT NULL of %s.%s reads the whole table: validate CHECK (%s IS NOT NULL) before, in this file",
				table, name, name)
		}
	case "AT_DropColumn":
		l.lose(name, fmt.Sprintf("column %s.%s", table, name))
	case "AT_SetLogged", "AT_SetUnLogged", "AT_SetTableSpace", "AT_SetAccessMethod":
		l.find("rewrite", "it rewrites %s", table)
	}
}

func (l *linter) addColumn(table string, column node) {
	name, _ := column["colname"].(string)
	required, filled := false, false
	for _, v := range list(column, "constraints") {
		c, _ := v["Constraint"].(node)
		switch c["contype"] {
		case "CONSTR_NOTNULL":
			required = true
		case "CONSTR_DEFAULT":
			filled = true
			if l.old(table) && volatile(c["raw_expr"]) {
				l.find("rewrite", "the default of %s.%s differs by row: add the column, then fill it in parts", table, name)
			}
		case "CONSTR_GENERATED", "CONSTR_IDENTITY":
			filled = true
			if l.old(table) {
				l.find("rewrite", "%s.%s is written into every row", table, name)
			}
		case "CONSTR_FOREIGN":
			l.foreignKey(table, c)
			l.addConstraint(table, c)
		default:
			l.addConstraint(table, c)
		}
	}
	if l.old(table) && required && !filled {
		l.find("not-null", "%s.%s is required and has no default: no row of now has it", table, name)
	}
}

func (l *linter) addConstraint(table string, c node) {
	if !l.old(table) {
		return
	}
	later, _ := c["skip_validation"].(bool)
	switch c["contype"] {
	case "CONSTR_FOREIGN", "CONSTR_CHECK":
		if !later {
			l.find("not-valid", "a constraint of %s is compared with every row under a lock: add it NOT VALID, validate it in the next file", table)
		}
	case "CONSTR_UNIQUE", "CONSTR_PRIMARY", "CONSTR_EXCLUSION":
		if c["indexname"] == nil {
			l.find("index", "nobody can write to %s while the index is built: build it CONCURRENTLY, then ADD ... USING INDEX", table)
		}
	}
}

// stable functions give a new column one value for all rows.
var stable = []string{"now", "transaction_timestamp", "statement_timestamp", "current_setting", "current_database"}

func volatile(v any) bool {
	switch v := v.(type) {
	case node:
		if f, ok := v["FuncCall"].(node); ok && !slices.Contains(stable, lastName(f["funcname"])) {
			return true
		}
		for _, part := range v {
			if volatile(part) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, volatile)
	}
	return false
}

func (l *linter) rename(s node) {
	what, _ := s["subname"].(string)
	if s["renameType"] == "OBJECT_TABLE" || s["renameType"] == "OBJECT_VIEW" {
		what = relation(s)
	}
	if s["renameType"] == "OBJECT_TRIGGER" || s["renameType"] == "OBJECT_TABCONSTRAINT" {
		return
	}
	if l.reads(what) {
		l.find("reads", "the running release reads %s: add the new name, and drop the old one a release later", what)
	}
}

func (l *linter) drop(s node) {
	kind, _ := s["removeType"].(string)
	switch kind {
	case "OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_SEQUENCE", "OBJECT_TYPE", "OBJECT_FUNCTION", "OBJECT_SCHEMA":
	default:
		return
	}
	for _, object := range list(s, "objects") {
		name := lastName(object)
		if l.created[name] {
			continue
		}
		if kind == "OBJECT_FUNCTION" || kind == "OBJECT_VIEW" || kind == "OBJECT_TYPE" {
			if l.reads(name) {
				l.find("reads", "the running release reads %s", name)
			}
			continue
		}
		l.lose(name, strings.ToLower(strings.TrimPrefix(kind, "OBJECT_"))+" "+name)
	}
}

// lose is a drop that takes data along.
func (l *linter) lose(name, what string) {
	if l.reads(name) {
		l.find("reads", "the running release reads %s: drop it a release later", what)
		return
	}
	l.find("drop", "what is in %s is lost", what)
}

// set keeps migrations from waiting long for a lock: every session begins with a
// timeout of some seconds, which a file may shorten and not lift.
func (l *linter) set(s node) {
	if s["name"] != "lock_timeout" {
		return
	}
	text := fmt.Sprint(s["args"])
	if s["kind"] != "VAR_SET_VALUE" || !slices.ContainsFunc([]string{"1s", "2s", "3s", "5s"}, func(short string) bool {
		return strings.Contains(text, "sval:"+short+"]")
	}) {
		l.find("lock-timeout", "a lock is waited for at most 5s, or every query behind it waits as well")
	}
}

// relation is the table that a statement is about.
func relation(s node) string {
	r, _ := s["relation"].(node)
	name, _ := r["relname"].(string)
	return name
}

// list is a list of nodes.
func list(s node, key string) []node {
	values, _ := s[key].([]any)
	all := make([]node, 0, len(values))
	for _, v := range values {
		if n, ok := v.(node); ok {
			all = append(all, n)
		}
	}
	return all
}

// lastName is the last string within a name: of a qualified one, the object's own.
func lastName(v any) string {
	switch v := v.(type) {
	case node:
		if s, ok := v["String"].(node); ok {
			name, _ := s["sval"].(string)
			return name
		}
		for _, key := range []string{"List", "ObjectWithArgs", "TypeName"} {
			if part, ok := v[key].(node); ok {
				for _, names := range []string{"items", "objname", "names"} {
					if part[names] != nil {
						return lastName(part[names])
					}
				}
			}
		}
	case []any:
		if len(v) > 0 {
			return lastName(v[len(v)-1])
		}
	}
	return ""
}
