package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"time"

	"loanserve/backup/store"
)

// verificationPrefix begins the names of objects that hold a Verification; the
// moment follows, so that the last name is the latest.
const verificationPrefix = "verification-"

// Verification is what a verification found. It is stored beside the backup.
type Verification struct {
	BackupID string `json:"backup_id"`
	Verified bool   `json:"verified"`
	// Findings say in words what is not as the manifest says.
	Findings []string `json:"findings"`
	// Compared says what was found equal, for people.
	Compared []string `json:"compared"`

	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at"`
	// RestoreSeconds is how long it took until the scratch server answered.
	RestoreSeconds float64 `json:"restore_seconds"`
	Program        string  `json:"program_version"`
	// ManifestSHA256 is of the manifest that was compared with.
	ManifestSHA256 string `json:"manifest_sha256"`
}

// writeVerification stores what was found.
func writeVerification(ctx context.Context, s store.Store, v *Verification) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write verification: %w", err)
	}
	name := path.Join(v.BackupID, verificationPrefix+v.FinishedAt.UTC().Format("20060102T150405.000Z")+".json")
	return s.Put(ctx, name, bytes.NewReader(text), int64(len(text)))
}
