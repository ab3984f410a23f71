package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/internal/instruction"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

// maxFilePayments is how many payments one file holds: what is left goes into the
// next one.
const maxFilePayments = 10_000

// The formats of payment files.
const (
	fileNACHA = "nacha"
	fileCSV   = "csv"
)

func (s *Server) routeEscrowFiles() {
	tags := []string{"escrow disbursements"}
	register(s, ScopeEscrowDisburse, huma.Operation{
		OperationID: "create-escrow-file", Method: http.MethodPost, Path: "/v1/escrow-disbursements/files", Tags: tags,
		Summary: "Write scheduled disbursements into a payment file",
		Description: "nacha takes the bills of payees that have an account, csv all others: each disbursement goes into " +
			"one file, once, and is sent from then on. A file holds 10000 of them; ask again, with another key, for the " +
			"rest. The same key gets the same file, byte for byte.",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict},
	}, s.createEscrowFile)
	register(s, ScopeEscrowDisburse, huma.Operation{
		OperationID: "download-escrow-file", Method: http.MethodGet, Path: "/v1/escrow-disbursements/files/{file_id}",
		Tags: tags, Summary: "Download a payment file",
		Description: "text/plain for nacha, text/csv for csv. The ETag is the file's SHA-256; with If-None-Match a file " +
			"that is known is not sent again. What is in it: GET /v1/escrow-disbursements?file_id=.",
		Errors: []int{http.StatusNotFound},
		Responses: map[string]*huma.Response{"200": {
			Description: "The file as it was written.",
			Content: map[string]*huma.MediaType{
				"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}},
				"text/csv":   {Schema: &huma.Schema{Type: huma.TypeString}},
			},
		}},
	}, s.downloadEscrowFile)
	responses := operationAt(s.api.OpenAPI(), http.MethodGet, "/v1/escrow-disbursements/files/{file_id}").Responses
	responses[strconv.Itoa(http.StatusNotModified)] = &huma.Response{
		Description: "The file is the one of If-None-Match.",
		Headers:     maps.Clone(responses[strconv.Itoa(http.StatusOK)].Headers),
	}
}

type createEscrowFileInput struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body escrowFileWish
}

type escrowFileWish struct {
	Format      string `json:"format" enum:"nacha,csv"`
	UpToOn      date   `json:"up_to_on" doc:"Disbursements that were paid on or before this day."`
	EffectiveOn date   `json:"effective_on,omitzero" doc:"Of nacha: the business day on which the payees are to have the money; without it, the first one after today (UTC)."`
}

// escrowFile is a payment file, as the API shows it.
type escrowFile struct {
	FileID      uuid.UUID      `json:"file_id" format:"uuid"`
	Format      string         `json:"format" enum:"nacha,csv"`
	Items       int32          `json:"items"`
	TotalCents  mortgage.Cents `json:"total_cents"`
	SHA256      string         `json:"sha256" doc:"Of the file, in hexadecimal."`
	RequestedBy string         `json:"requested_by"`
	CreatedAt   time.Time      `json:"created_at"`
}

type createEscrowFileOutput struct {
	Location string `header:"Location"`
	Replayed string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body     escrowFile
}

func (s *Server) createEscrowFile(ctx context.Context, in *createEscrowFileInput) (*createEscrowFileOutput, error) {
	key, err := parseKey(in.Key)
	if err != nil {
		return nil, err
	}
	hash, err := fingerprint("create-escrow-file", "/v1/escrow-disbursements/files", &in.Body)
	if err != nil {
		return nil, err
	}
	by := PrincipalOf(ctx).ID
	row, replayed, err := once(
		func() (row queries.EscrowFile, err error) {
			err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
				w := fileWriting{q: queries.New(tx), wish: &in.Body, by: by, key: key, hash: hash}
				row, err = w.write(ctx)
				return err
			})
			return row, err
		},
		func() (queries.EscrowFile, error) { return s.q.GetEscrowFileByKey(ctx, by, key) },
		func(row queries.EscrowFile) []byte { return row.RequestHash }, hash)
	if err != nil {
		return nil, err
	}
	return &createEscrowFileOutput{
		Location: "/v1/escrow-disbursements/files/" + row.ID.String(), Replayed: replayed,
		Body: escrowFile{
			FileID: row.ID, Format: row.Format, Items: row.Items, TotalCents: row.TotalCents,
			SHA256: fmt.Sprintf("%x", row.Sha256), RequestedBy: row.RequestedBy, CreatedAt: row.CreatedAt.UTC(),
		},
	}, nil
}

// fileWriting is one request for a file, in its transaction.
type fileWriting struct {
	q       *queries.Queries
	wish    *escrowFileWish
	by, key string
	hash    []byte
}

// write takes what waits, writes it into a file, and stores both. It returns
// errKeyTaken, and stores nothing, when the idempotency key is taken.
func (w fileWriting) write(ctx context.Context) (row queries.EscrowFile, err error) {
	if err := w.q.LockEscrowFiles(ctx); err != nil {
		return row, fmt.Errorf("lock files: %w", err)
	}
	_, err = w.q.GetEscrowFileByKey(ctx, w.by, w.key)
	if err == nil {
		return row, errKeyTaken
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return row, fmt.Errorf("get file by key: %w", err)
	}
	waiting, err := w.q.LockDisbursementsToSend(ctx, queries.LockDisbursementsToSendParams{
		UpToOn: w.wish.UpToOn.Date, ByAch: w.wish.Format == fileNACHA, RowLimit: maxFilePayments,
	})
	if err != nil {
		return row, fmt.Errorf("lock disbursements: %w", err)
	}
	if len(waiting) == 0 {
		return row, conflict("No disbursement up to this day waits to be sent in a file of this format.")
	}
	at, err := w.q.GetNow(ctx)
	if err != nil {
		return row, fmt.Errorf("get now: %w", err)
	}
	content, err := w.content(ctx, at, waiting)
	if err != nil {
		return row, err
	}
	return w.store(ctx, at, waiting, content)
}

// content writes the payments in the wanted format.
func (w fileWriting) content(
	ctx context.Context, at time.Time, waiting []queries.LockDisbursementsToSendRow,
) ([]byte, error) {
	payments := make([]instruction.Payment, len(waiting))
	for i := range waiting {
		d := &waiting[i]
		payments[i] = instruction.Payment{
			Ref: d.ID.String(), Kind: string(d.Kind), LoanNumber: d.LoanNumber, Payee: d.Payee, Amount: d.AmountCents,
			DueOn: d.DueOn, PaidOn: d.PaidOn, Account: instruction.Account{
				Routing: d.RoutingNumber, Number: d.AccountNumber, Savings: d.AccountKind == accountSavings,
			},
		}
	}
	if w.wish.Format == fileCSV {
		return instruction.CSV(payments)
	}
	policy, err := w.q.GetEscrowPaymentPolicy(ctx)
	if err != nil {
		return nil, fmt.Errorf("get payment policy: %w", err)
	}
	if policy.BankRouting == "" {
		return nil, conflict("Nothing goes by ACH until the payment policy says who the servicer is to its bank.")
	}
	today := mortgage.DateOf(at)
	effectiveOn := w.wish.EffectiveOn.Date
	if effectiveOn == 0 {
		effectiveOn = mortgage.NextBusinessDay(today)
	}
	if effectiveOn < today || effectiveOn > today+farthest || !mortgage.IsBusinessDay(effectiveOn) {
		return nil, invalid(inBody("/effective_on", "must be a business day of the banks, today or later"))
	}
	before, err := w.q.CountEscrowFilesOfDay(ctx, fileNACHA, at)
	if err != nil {
		return nil, fmt.Errorf("count files: %w", err)
	}
	content, err := instruction.NACHA(instruction.Originator{
		BankRouting: policy.BankRouting, BankName: policy.BankName, CompanyID: policy.CompanyID,
		CompanyName: policy.CompanyName,
	}, at, int(before), effectiveOn, payments)
	if errors.Is(err, instruction.ErrCannotWrite) {
		p := conflict("The layout has no room for this file: it is the 37th of the day, or its total is too large.")
		p.cause = err
		return nil, p
	}
	return content, err
}

// store stores the file, and marks what is in it as sent.
func (w fileWriting) store(
	ctx context.Context, at time.Time, waiting []queries.LockDisbursementsToSendRow, content []byte,
) (row queries.EscrowFile, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return row, fmt.Errorf("make file id: %w", err)
	}
	ids := make([]uuid.UUID, len(waiting))
	var total mortgage.Cents
	for i := range waiting {
		ids[i] = waiting[i].ID
		total += waiting[i].AmountCents
	}
	sum := sha256.Sum256(content)
	row, err = w.q.InsertEscrowFile(ctx, queries.InsertEscrowFileParams{
		ID: id, Format: w.wish.Format, Content: content, Sha256: sum[:], Items: int32(len(ids)), TotalCents: total,
		RequestedBy: w.by, IdempotencyKey: w.key, RequestHash: w.hash, CreatedAt: at,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, fmt.Errorf("insert file: %w", err)
	}
	if err := jobs.AllowRows(ctx, w.q, len(ids)); err != nil {
		return row, err
	}
	sent, err := w.q.MarkDisbursementsSent(ctx, queries.MarkDisbursementsSentParams{Ids: ids, FileID: id, SentAt: &at})
	if err != nil {
		return row, fmt.Errorf("mark disbursements sent: %w", err)
	}
	if sent != int64(len(ids)) {
		return row, fmt.Errorf("%d of %d disbursements were marked sent", sent, len(ids))
	}
	return row, nil
}

type downloadEscrowFileInput struct {
	FileID      uuid.UUID `path:"file_id" format:"uuid"`
	IfNoneMatch string    `header:"If-None-Match" maxLength:"200"`
}

type downloadEscrowFileOutput struct {
	Status       int
	ContentType  string `header:"Content-Type"`
	Disposition  string `header:"Content-Disposition"`
	ETag         string `header:"Etag"`
	CacheControl string `header:"Cache-Control"`
	Body         []byte
}

func (s *Server) downloadEscrowFile(
	ctx context.Context, in *downloadEscrowFileInput,
) (*downloadEscrowFileOutput, error) {
	row, err := s.q.GetEscrowFile(ctx, in.FileID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, notFound("There is no such file.")
	}
	if err != nil {
		return nil, fmt.Errorf("get file: %w", err)
	}
	out := &downloadEscrowFileOutput{
		Status: http.StatusOK, ContentType: "text/plain; charset=us-ascii", ETag: fmt.Sprintf(`"%x"`, row.Sha256),
		Disposition: `attachment; filename="` + row.ID.String() + `.ach"`, CacheControl: "private, no-cache",
		Body: row.Content,
	}
	if row.Format == fileCSV {
		out.ContentType = "text/csv; charset=utf-8"
		out.Disposition = `attachment; filename="` + row.ID.String() + `.csv"`
	}
	if in.IfNoneMatch == out.ETag {
		out.Status, out.Body = http.StatusNotModified, nil
	}
	return out, nil
}
