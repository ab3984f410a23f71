package jobs

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

// found is something that is not in order in the stored data.
type found struct {
	kind    queries.IntegrityKind
	loanID  int64  // 0 where it is about no single loan
	subject string // what of the loan or the portfolio; "" for the whole
	details map[string]any
}

// maxExamples is how many examples a finding names of what it counts.
const maxExamples = 20

// findingKind is what a kind of findings means to whoever is told of it.
type findingKind struct {
	severity queries.IntegritySeverity
	action   string
	ofLoans  bool // It is looked for loan by loan, and otherwise in the whole portfolio.
}

// findingKinds lists every kind. docs/integrity.md says more about each.
var findingKinds = map[queries.IntegrityKind]findingKind{
	queries.IntegrityKindLoanMissing: {
		severity: queries.IntegritySeverityCritical, ofLoans: false,
		action: "Stop whatever deletes, and bring the loan back with all that belongs to it: loanserve recover.",
	},
	queries.IntegrityKindLoanUnregistered: {
		severity: queries.IntegritySeverityCritical, ofLoans: false,
		action: "Find out who stored the loan with the trigger register_boarded_loan switched off, and why.",
	},
	queries.IntegrityKindRegisterBroken: {
		severity: queries.IntegritySeverityCritical, ofLoans: false,
		action: "Compare the register of loans with a backup: entries were changed, added or removed.",
	},
	queries.IntegrityKindRegisterCut: {
		severity: queries.IntegritySeverityCritical, ofLoans: false,
		action: "Compare the register of loans with a backup: entries that were there are gone.",
	},
	queries.IntegrityKindLoanTermsChanged: {
		severity: queries.IntegritySeverityCritical, ofLoans: true,
		action: "Compare the loan's terms with its note and a backup, and put back what was boarded.",
	},
	queries.IntegrityKindChainBroken: {
		severity: queries.IntegritySeverityCritical, ofLoans: true,
		action: "Compare the transactions with a backup: they were changed, or written past the program.",
	},
	queries.IntegrityKindChainGap: {
		severity: queries.IntegritySeverityCritical, ofLoans: true,
		action: "Bring the missing transactions back from a backup.",
	},
	queries.IntegrityKindChainHead: {
		severity: queries.IntegritySeverityCritical, ofLoans: true,
		action: "Compare the end of the ledger with a backup: it is not where the loan says.",
	},
	queries.IntegrityKindChainCut: {
		severity: queries.IntegritySeverityCritical, ofLoans: true,
		action: "Bring the transactions back from a backup: an earlier check has seen them.",
	},
	queries.IntegrityKindBalanceMismatch: {
		severity: queries.IntegritySeverityCritical, ofLoans: true,
		action: "Find out what changed the balance past the ledger; the ledger is right if its chain is.",
	},
	queries.IntegrityKindTermsMismatch: {
		severity: queries.IntegritySeverityCritical, ofLoans: true,
		action: "Find out what changed terms_changes or loan_changes past the program.",
	},
	queries.IntegrityKindReplayMismatch: {
		severity: queries.IntegritySeverityCritical, ofLoans: true,
		action: "Compare payments, fees, disbursements and terms with a backup: the books do not follow from them.",
	},
	queries.IntegrityKindPaymentWithoutTransactions: {
		severity: queries.IntegritySeverityCritical, ofLoans: true,
		action: "Bring the payment's transactions back from a backup.",
	},
	queries.IntegrityKindTransactionWithoutPayment: {
		severity: queries.IntegritySeverityCritical, ofLoans: true,
		action: "Find the payment that the transaction names in a backup: it is gone, or is not posted.",
	},
	queries.IntegrityKindPaymentSplitMismatch: {
		severity: queries.IntegritySeverityCritical, ofLoans: true,
		action: "Compare the payment with a backup: it does not say what its transactions do.",
	},
	queries.IntegrityKindDocumentChanged: {
		severity: queries.IntegritySeverityCritical, ofLoans: true,
		action: "Bring the content back from a backup.",
	},
	queries.IntegrityKindOrphan: {
		severity: queries.IntegritySeverityCritical, ofLoans: false,
		action: "Bring the row that is named back from a backup, and find out who switched the key off.",
	},
	queries.IntegrityKindTrialBalance: {
		severity: queries.IntegritySeverityCritical, ofLoans: false,
		action: "Look at the findings about loans; without one, a transaction does not balance.",
	},
	queries.IntegrityKindControlTotal: {
		severity: queries.IntegritySeverityCritical, ofLoans: false,
		action: "Look at the findings about loans: together they are the difference.",
	},
}

// kindsOfLoans lists the kinds that are looked for loan by loan.
func kindsOfLoans() []string {
	var kinds []string
	for kind, k := range findingKinds {
		if k.ofLoans {
			kinds = append(kinds, string(kind))
		}
	}
	return kinds
}

// storeFindings stores what was found, or that it is still found, and tells of what is
// new.
func storeFindings(ctx context.Context, q *queries.Queries, all []found) error {
	if len(all) == 0 {
		return nil
	}
	var p queries.InsertIntegrityFindingsParams
	for _, f := range all {
		details, err := json.Marshal(f.details)
		if err != nil {
			return fmt.Errorf("write details of a finding: %w", err)
		}
		k := findingKinds[f.kind]
		p.Kind, p.Severity = append(p.Kind, string(f.kind)), append(p.Severity, string(k.severity))
		p.LoanID, p.Subject = append(p.LoanID, f.loanID), append(p.Subject, f.subject)
		p.Details, p.SuggestedAction = append(p.Details, string(details)), append(p.SuggestedAction, k.action)
	}
	rows, err := q.InsertIntegrityFindings(ctx, p)
	if err != nil {
		return fmt.Errorf("insert findings: %w", err)
	}
	var events []webhookEvent
	for i := range rows {
		if rows[i].IsNew {
			events = append(events, findingEvent(&rows[i]))
		}
	}
	return announce(ctx, q, events...)
}

// snapshot is how checks read: one state of the whole database, on which work that goes
// on meanwhile neither waits nor leaves a half.
var snapshot = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
