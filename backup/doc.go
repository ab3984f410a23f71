// Package backup makes backups of a PostgreSQL database, proves them by restoring
// them, and restores them.
//
// Inside: the two kinds of backups, physical (a copy of the whole server, by the
// replication protocol) and logical (a dump of one database, by pg_dump), the
// manifest that makes a backup of objects, the restore, the comparison of what was
// restored with the manifest, and which backups are kept. Not inside: when any of
// it is done, and any rule of servicing: what else must hold in a restored
// database the caller brings as Checks.
//
// The idea to hold: what counts is only what was restored and compared. A manifest
// says what the database held, read in one snapshot; it is written last, so that
// without one there is no backup; and a backup is verified when a scratch server
// has been made of it and holds exactly that.
package backup
