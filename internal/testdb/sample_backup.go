package testdb

import (
	"crypto/sha256"
	"testing"

	"github.com/google/uuid"

	"loanserve/queries"
)

// Backup stores a wish for a physical backup, and returns its row.
func Backup(t testing.TB, db queries.DBTX, edits ...func(*queries.InsertBackupParams)) queries.Backup {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("testdb: backup id: %v", err)
	}
	hash := sha256.Sum256(id[:])
	arg := queries.InsertBackupParams{
		ID: id, Kind: queries.BackupKindPhysical, RequestedBy: "testdb", IdempotencyKey: id.String(), RequestHash: hash[:],
	}
	for _, edit := range edits {
		edit(&arg)
	}
	row, err := queries.New(db).InsertBackup(t.Context(), arg)
	if err != nil {
		t.Fatalf("testdb: insert backup: %v", err)
	}
	return row
}
