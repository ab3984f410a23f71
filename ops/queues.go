package ops

import (
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"
)

type queue struct {
	Queue            string     `json:"queue"`
	PausedAt         *time.Time `json:"paused_at"`
	Available        int64      `json:"available"`
	Running          int64      `json:"running"`
	Scheduled        int64      `json:"scheduled"`
	Retryable        int64      `json:"retryable"`
	Discarded        int64      `json:"discarded"`
	OldestAgeSeconds int64      `json:"oldest_age_seconds"`
}

type job struct {
	JobID       int64      `json:"job_id"`
	Kind        string     `json:"kind"`
	Queue       string     `json:"queue"`
	State       string     `json:"state"`
	Attempt     int64      `json:"attempt"`
	MaxAttempts int64      `json:"max_attempts"`
	CreatedAt   *time.Time `json:"created_at"`
	ScheduledAt *time.Time `json:"scheduled_at"`
	FinalizedAt *time.Time `json:"finalized_at"`
	LastError   string     `json:"last_error"`
}

func (p *Pages) routeQueues() {
	p.router.Get("/queues", p.page(p.queues))
	p.router.Get("/queues/jobs", p.page(pageOf(p, list[job]{
		title: "Jobs", empty: "No job is like that.", api: "/v1/jobs",
		filters: []filter{
			{
				name: "state", label: "State", kind: "select", usual: "discarded",
				options: []string{"discarded", "retryable", "running", "available", "scheduled", "cancelled", "completed"},
			},
			{name: "kind", label: "Kind", kind: "search"},
			{name: "queue", label: "Queue", kind: "search"},
		},
		columns: columns("Job", "State", "Queue", "Attempt", "Created", "Due", "Over", "Last error"),
		row:     p.jobRow,
	})))
	p.router.Get("/queues/jobs/{job_id}", p.page(p.job))
	p.offer(action{
		name: "pause-queue", label: "Pause", scope: "jobs:control", bare: true, path: "/v1/queues/{queue}/pause",
		explain: "No worker takes jobs from the queue until it is resumed. Those that run go on to their end.",
		done:    "The queue is paused.", danger: true,
	}, action{
		name: "resume-queue", label: "Resume", scope: "jobs:control", bare: true, path: "/v1/queues/{queue}/resume",
		explain: "Workers take jobs from the queue again.", done: "The queue works again.",
	}, action{
		name: "retry-job", label: "Try it again now", scope: "jobs:control", bare: true, path: "/v1/jobs/{job_id}/retry",
		explain: "Makes the job due now. Working a job twice changes nothing twice.", done: "The job is due again.",
	}, action{
		name: "cancel-job", label: "Cancel it", scope: "jobs:control", bare: true, path: "/v1/jobs/{job_id}/cancel",
		explain: "The job is not worked any more. What asked for it may stay undone.", done: "The job is canceled.",
		danger: true,
	})
}

// alarmQueue is that of the alarm for lost loans.
const alarmQueue = "alarm"

func jobURL(id int64) string { return Root + "/queues/jobs/" + number0(id) }

func (p *Pages) jobRow(j job) []cell {
	return []cell{
		{Text: words(j.Kind), Note: number0(j.JobID), URL: jobURL(j.JobID)},
		state(j.State), text(j.Queue),
		text(number(j.Attempt) + " of " + number(j.MaxAttempts)), p.instant(j.CreatedAt), p.instant(j.ScheduledAt),
		p.instant(j.FinalizedAt), text(j.LastError),
	}
}

// queues shows every queue, and lets it be paused and resumed.
func (p *Pages) queues(r *http.Request, v *visitor) (*view, error) {
	queues, err := get[page[queue]](p, r, "/v1/queues", nil)
	if err != nil {
		return nil, err
	}
	shown := &detail{Poll: true, Lead: "What waits to be worked. Pausing a queue stops what its " +
		"jobs do, until it is resumed."}
	if v.may("jobs:control") {
		shown.Links = []link{{"The queue's own pages", Root + "/jobs"}}
	}
	all := section{Title: "Queues", Table: table{
		Columns: columns("Queue", "State", "#Available", "#Running", "#Scheduled", "#Retryable", "#Given up", "Oldest waits"),
		Empty:   "No worker has reported a queue yet.",
	}}
	for _, q := range queues.Data {
		status, act := state("active"), "pause-queue"
		if q.PausedAt != nil {
			status, act = state("paused"), "resume-queue"
		}
		discarded := count(q.Discarded)
		if q.Discarded > 0 {
			discarded.URL = Root + "/queues/jobs?" + url.Values{"queue": {q.Queue}, "state": {"discarded"}}.Encode()
			discarded.Tone = "bad"
		}
		oldest := cell{}
		if q.Available > 0 {
			oldest = text(age(time.Duration(q.OldestAgeSeconds) * time.Second))
		}
		all.Table.Rows = append(all.Table.Rows, []cell{
			to(q.Queue, Root+"/queues/jobs?"+url.Values{"queue": {q.Queue}}.Encode()), status, count(q.Available),
			count(q.Running), count(q.Scheduled), count(q.Retryable), discarded, oldest,
		})
		if q.Queue == alarmQueue && q.PausedAt == nil {
			continue // The API does not pause it.
		}
		for _, f := range p.forms(v, []hidden{{"queue", q.Queue}}, act) {
			f.Label += " " + q.Queue
			all.Forms = append(all.Forms, f)
		}
	}
	shown.Sections = []section{all}
	return &view{Template: "detail.html", Title: "Queues", Body: shown}, nil
}

// job shows one job, and lets it be tried again.
func (p *Pages) job(r *http.Request, v *visitor) (*view, error) {
	j, err := get[job](p, r, "/v1/jobs/"+url.PathEscape(chi.URLParam(r, "job_id")), nil)
	if err != nil {
		return nil, err
	}
	shown := &detail{State: state(j.State), Poll: j.FinalizedAt == nil, Facts: factsOf(
		fact{"Queue", text(j.Queue)}, fact{"Attempt", text(number(j.Attempt) + " of " + number(j.MaxAttempts))},
		fact{"Created", p.instant(j.CreatedAt)}, fact{"Due", p.instant(j.ScheduledAt)},
		fact{"Over", p.instant(j.FinalizedAt)}, fact{"Last error", text(j.LastError)},
	)}
	id := []hidden{{"job_id", number0(j.JobID)}}
	switch j.State {
	case "discarded", "cancelled":
		shown.Forms = p.forms(v, id, "retry-job")
	case "retryable", "scheduled":
		shown.Forms = p.forms(v, id, "retry-job", "cancel-job")
	case "available", "running":
		shown.Forms = p.forms(v, id, "cancel-job")
	}
	return &view{
		Template: "detail.html", Title: initial(words(j.Kind)), Body: shown,
		Crumbs: []link{{"Queues", Root + "/queues"}, {"Jobs", Root + "/queues/jobs"}},
	}, nil
}

// jobsPolicy lets the queue's own pages, which are another project's, set styles.
const jobsPolicy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; " +
	"form-action 'self'; frame-ancestors 'none'"

// jobs shows the queue's own pages. Who is not logged in is asked to be, where the
// guard would answer a person with a problem.
func (p *Pages) jobs(inner http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := get[visitor](p, r, "/v1/sessions/current", nil); err != nil && r.Method == http.MethodGet {
			p.fail(w, r, nil, err)
			return
		}
		w.Header().Set("Content-Security-Policy", jobsPolicy)
		inner.ServeHTTP(w, r)
	}
}
