package server

import "slices"

// RoleAdmin is the role that manages users.
const RoleAdmin = "admin"

// reading is what everybody with a role may see of servicing.
var reading = []string{
	ScopeLoansRead, ScopePaymentsRead, ScopeRunsRead, ScopeEscrowRead, ScopeIntegrityRead, ScopeOperationsRead,
	ScopeJobsRead, ScopeBackupsRead,
}

// Roles lists every role of people with the scopes it gives. Whoever asks for a
// change does not approve it: nobody is operator and approver, which the database
// enforces, and nobody changes his own roles. An admin manages people and touches
// no money. A test checks that every scope is somebody's.
var Roles = map[string][]string{
	"viewer": reading,
	"operator": append([]string{
		ScopeLoansWrite, ScopeLoansChange, ScopeLoansClose, ScopePaymentsWrite, ScopePaymentsReverse,
		ScopeEscrowWrite, ScopeEscrowAnalyze, ScopeEscrowDisburse, ScopeEscrowDeliver,
		ScopeIntegrityRun, ScopeJobsControl, ScopeWebhooksRead,
	}, reading...),
	"approver": append([]string{
		ScopeLoansApprove, ScopePaymentsApprove, ScopeEscrowPayees, ScopeEscrowPolicy,
	}, reading...),
	"auditor": append([]string{ScopeUsersRead, ScopeAuditRead, ScopeIntegrityRun}, reading...),
	RoleAdmin: {
		ScopeUsersRead, ScopeUsersWrite, ScopeAuditRead, ScopeHousekeepingRun, ScopeRunsRead, ScopeIntegrityRead,
		ScopeBackupsRun, ScopeBackupsRead, ScopeOperationsRead, ScopeJobsRead, ScopeJobsControl,
		ScopeWebhooksRead, ScopeWebhooksWrite,
	},
}

// scopesOf returns what somebody with the roles may do.
func scopesOf(roles []string) []string {
	var scopes []string
	for _, role := range roles {
		scopes = append(scopes, Roles[role]...)
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}
