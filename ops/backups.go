package ops

import (
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"
)

type backup struct {
	BackupID    string     `json:"backup_id"`
	Kind        string     `json:"kind"`
	Status      string     `json:"status"`
	SizeBytes   int64      `json:"size_bytes"`
	StoreName   string     `json:"store_name"`
	RequestedBy string     `json:"requested_by"`
	FailedStage string     `json:"failed_stage"`
	Failure     string     `json:"failure"`
	RestoreMS   int64      `json:"restore_ms"`
	CreatedAt   *time.Time `json:"created_at"`
	StartedAt   *time.Time `json:"started_at"`
	StoredAt    *time.Time `json:"stored_at"`
	VerifiedAt  *time.Time `json:"verified_at"`
	Findings    []string   `json:"findings"`
}

func (p *Pages) routeBackups() {
	p.offer(action{
		name: "back-up", label: "Make a backup", scope: "backups:run", keyed: true, path: "/v1/backups",
		explain: "Backs the database up now, and proves the backup by restoring it.", done: "The backup is asked for.",
		fields: []field{{name: "kind", label: "Kind", kind: "select", options: []string{"physical", "logical"}}},
		next:   func(a *answer) string { return backupURL(afterPrefix(a.header.Get("Location"), "/v1/backups/")) },
	}, action{
		name: "verify-backup", label: "Verify it again", scope: "backups:run", bare: true,
		path: "/v1/backups/{backup_id}/verifications", done: "The verification is asked for.",
		explain: "Restores the backup into a scratch server and compares every table with what was stored.",
	})
	p.router.Get("/backups", p.page(pageOf(p, list[backup]{
		title: "Backups", empty: "No backup was made yet.", api: "/v1/backups", actions: []string{"back-up"},
		intro:   "A backup counts when it was restored and held every row.",
		columns: columns("Backup", "State", "Kind", "#Size", "Started", "Stored", "Verified", "Restored in"),
		row: func(b backup) []cell {
			status := state(b.Status)
			status.Note = words(b.FailedStage)
			return []cell{
				long(b.BackupID, backupURL(b.BackupID)), status, text(b.Kind), b.size(), p.instant(b.StartedAt),
				p.instant(b.StoredAt), p.instant(b.VerifiedAt), b.restored(),
			}
		},
	})))
	p.router.Get("/backups/{backup_id}", p.page(p.backup))
}

func (b *backup) size() cell {
	if b.SizeBytes == 0 {
		return cell{}
	}
	return text(size(b.SizeBytes))
}

func (b *backup) restored() cell {
	if b.RestoreMS == 0 {
		return cell{}
	}
	return text(age(time.Duration(b.RestoreMS) * time.Millisecond))
}

func (p *Pages) backup(r *http.Request, v *visitor) (*view, error) {
	b, err := get[backup](p, r, "/v1/backups/"+url.PathEscape(chi.URLParam(r, "backup_id")), nil)
	if err != nil {
		return nil, err
	}
	shown := &detail{
		State: state(b.Status), Poll: b.Status == "requested",
		Facts: factsOf(
			fact{"Kind", text(b.Kind)}, fact{"Name in the store", text(b.StoreName)}, fact{"Size", b.size()},
			fact{"Asked for by", text(b.RequestedBy)}, fact{"Asked for", p.instant(b.CreatedAt)},
			fact{"Started", p.instant(b.StartedAt)}, fact{"Stored", p.instant(b.StoredAt)},
			fact{"Verified", p.instant(b.VerifiedAt)}, fact{"Restored in", b.restored()},
			fact{"Failed at", text(words(b.FailedStage))}, fact{"Because", text(b.Failure)},
		),
	}
	if b.StoredAt != nil && b.Status != "pruned" {
		shown.Forms = p.forms(v, []hidden{{"backup_id", b.BackupID}}, "verify-backup")
	}
	if len(b.Findings) > 0 {
		shown.Sections = []section{{Title: "What verification found", Table: table{
			Columns: columns("What"), Rows: rowsOf(b.Findings, func(what string) []cell { return []cell{text(what)} }),
		}}}
	}
	return &view{
		Template: "detail.html", Title: initial(b.Kind) + " backup", Body: shown,
		Crumbs: []link{{"Backups", Root + "/backups"}},
	}, nil
}
