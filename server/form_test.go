package server_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const boundary = "----a boundary of a test"

// part is one of a form, as it is sent: headers, an empty line, and the content.
type part string

func filePart(content string) part {
	return part("Content-Disposition: form-data; name=\"file\"; filename=\"../../etc/f.csv\"\r\n" +
		"Content-Type: text/csv\r\n\r\n" + content)
}

func named(name, content string) part {
	return part("Content-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + content)
}

// formOf writes a form, up to its last boundary.
func formOf(parts ...part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--" + boundary + "\r\n" + string(p) + "\r\n")
	}
	return b.String() + "--" + boundary + "--\r\n"
}

func (l *live) sendForm(query, key, body string) *httptest.ResponseRecorder {
	return l.sendAs("multipart/form-data; boundary=\""+boundary+"\"", query, key, strings.NewReader(body))
}

// sendAs submits a body of the media type.
func (l *live) sendAs(contentType, query, key string, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/payment-batches?"+query, body)
	r.Header.Set("Authorization", "Bearer "+l.token)
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Idempotency-Key", key)
	w := httptest.NewRecorder()
	l.Handler().ServeHTTP(w, r)
	return w
}

// A file is the same however it is sent: the same batch, the same key, the same
// refusal the second time.
func TestFileInAForm(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	boardNumber(t, l, "A-1")
	const query = "format=csv&items=1&total_cents=1000"
	file := csvHeader + "A-1,10.00,2026-01-15,check,periodic,r-1\n"
	first := l.sendForm(query, "k-1", formOf(filePart(file)))
	answer(t, first, http.StatusAccepted)
	again := l.send(query, "k-1", strings.NewReader(file))
	require.Equal(t, first.Body.String(), answerBody(t, again))
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	require.Equal(t, first.Body.String(), answerBody(t, l.sendForm(query, "k-1", formOf(filePart(file)))))
	refused(t, l.send(query, "k-2", strings.NewReader(file)), http.StatusConflict, "conflict")
	refused(t, l.sendForm(query, "k-2", formOf(filePart(file))), http.StatusConflict, "conflict")
	require.Equal(t, 1, l.count(t, countPayments))

	unended := strings.TrimSuffix(formOf(filePart(strings.Replace(file, "r-1", "r-3", 1))), "\r\n")
	answer(t, l.sendForm(query, "k-4", unended), http.StatusAccepted)
	bare := "preamble\r\n" + formOf(named("file", strings.Replace(file, "r-1", "r-2", 1))) + "epilogue"
	answer(t, l.sendForm(query, "k-3", bare), http.StatusAccepted)
	l.work(t)
	require.Equal(t, map[string]int{"posted": 1}, counts(t, l.finished(t, first.Header().Get("Location"))))
}

func answerBody(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	answer(t, w, http.StatusAccepted)
	return w.Body.String()
}

// A form that is not one file and nothing else is refused, and the place named.
func TestFormsThatAreRefused(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	boardNumber(t, l, "A-1")
	const query = "format=csv&items=1&total_cents=1000"
	file := csvHeader + "A-1,10.00,2026-01-15,check,periodic,r-1\n"
	whole := formOf(filePart(file))
	const encoded = "Content-Disposition: form-data; name=\"file\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	encodedPart := part(encoded) + part(file)

	for name, bad := range map[string]struct {
		body   string
		status int
		code   string
		places []string
	}{
		"no part":                  {formOf(), 422, "invalid", []string{"/file"}},
		"another part":             {formOf(named("upload", file)), 422, "invalid", []string{"/upload"}},
		"another part before":      {formOf(named("format", "csv"), filePart(file)), 422, "invalid", []string{"/format"}},
		"another part behind":      {formOf(filePart(file), named("a/b~c", "x")), 422, "invalid", []string{"/a~1b~0c"}},
		"the file twice":           {formOf(filePart(file), filePart(file)), 422, "invalid", []string{"/file"}},
		"a part without a name":    {formOf(part("\r\n"+file), filePart(file)), 422, "invalid", []string{"/"}},
		"a part of a long name":    {formOf(filePart(file), named(strings.Repeat("n", 5000), "x")), 422, "invalid", []string{"/"}},
		"a part of a bad name":     {formOf(filePart(file), named("\xff\xfe", "x")), 422, "invalid", []string{"/"}},
		"another case":             {formOf(named("File", file)), 422, "invalid", []string{"/File"}},
		"an encoding":              {formOf(encodedPart), 422, "invalid", []string{"/file"}},
		"an empty file":            {formOf(filePart("")), 422, "invalid", []string{""}},
		"cut off in the file":      {whole[:len(whole)/2], 400, "malformed", nil},
		"cut off behind the file":  {whole[:len(whole)-len(boundary)-6], 400, "malformed", nil},
		"without its last dashes":  {whole[:len(whole)-4] + "\r\n", 422, "invalid", []string{"/"}},
		"with half a boundary":     {whole[:len(whole)-4-len(boundary)/2], 400, "malformed", nil},
		"nothing":                  {"", 400, "malformed", nil},
		"the bare file":            {file, 400, "malformed", nil},
		"headers without an end":   {"--" + boundary + "\r\n" + strings.Repeat("A: b\r\n", 20_000), 400, "malformed", nil},
		"headers that are garbage": {"--" + boundary + "\r\nno header\r\n\r\n" + file, 400, "malformed", nil},
	} {
		w := l.sendForm(query, "k", bad.body)
		require.Equal(t, bad.status, w.Code, "%s: %s", name, w.Body)
		places := refused(t, w, bad.status, bad.code)
		require.Less(t, w.Body.Len(), 4096)
		if bad.places != nil {
			require.Equal(t, bad.places, places, name)
		}
	}
	for n := range len(whole) - len("\r\n") { // Wherever it is cut off.
		w := l.sendForm(query, "k", whole[:n])
		require.GreaterOrEqual(t, w.Code, 400, "%d bytes of %d: %s", n, len(whole), w.Body)
		require.Less(t, w.Code, 500, "%d bytes of %d: %s", n, len(whole), w.Body)
	}
	for contentType, status := range map[string]int{
		"multipart/form-data": 415, "multipart/mixed; boundary=x": 415, "multipart/form-data; boundary=": 415,
		"multipart/form-data; boundary=\"" + strings.Repeat("b", 500) + "\"": 400,
	} {
		code := map[int]string{415: "media-type", 400: "malformed"}[status]
		refused(t, l.sendAs(contentType, query, "k", strings.NewReader(whole)), status, code)
	}
	nothingStored(t, l)
	answer(t, l.sendForm(query, "k", whole), http.StatusAccepted) // The key is as good as new.
}

// The limit of a form is its file's, and a little for the form.
func TestFormsAreLimited(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	srv := httptest.NewServer(l.Handler())
	t.Cleanup(srv.Close)
	post := func(length int64, body io.Reader) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			srv.URL+"/v1/payment-batches?format=csv&items=6000&total_cents=6000000", body)
		require.NoError(t, err)
		r.ContentLength = length
		r.Header.Set("Authorization", "Bearer "+l.token)
		r.Header.Set("Content-Type", "multipart/form-data; boundary=\""+boundary+"\"")
		r.Header.Set("Idempotency-Key", "k")
		got, err := srv.Client().Do(r)
		require.NoError(t, err)
		text, err := io.ReadAll(got.Body)
		require.NoError(t, err)
		require.NoError(t, got.Body.Close())
		return got.StatusCode, string(text)
	}
	status, _ := post(64<<20+1<<20, strings.NewReader(strings.Repeat("x", 64<<20+1<<20)))
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	status, text := post(-1, strings.NewReader("--"+boundary+"\r\n"+string(filePart(csvHeader))+
		strings.Repeat("A-1,10.00,2026-01-15,check,periodic,r\n", 2<<20)))
	require.Contains(t, []int{http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge}, status, text)
	status, _ = post(-1, strings.NewReader(strings.Repeat("before the first boundary\r\n", 3<<20)))
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	nothingStored(t, l)

	// In pieces, of a length that is not known before.
	body, w := io.Pipe()
	go func() {
		_, err := io.WriteString(w, "--"+boundary+"\r\n"+string(filePart(csvHeader)))
		for i := 0; err == nil && i < 6000; i++ {
			_, err = fmt.Fprintf(w, "X-%d,10.00,2026-01-15,check,periodic,r-%d\n", i, i)
		}
		if err == nil {
			_, err = io.WriteString(w, "\r\n--"+boundary+"--\r\n")
		}
		w.CloseWithError(err)
	}()
	status, text = post(-1, body)
	require.Equal(t, http.StatusAccepted, status, text)
	require.Equal(t, 6000, l.count(t, `SELECT count(*) FROM payment_batch_items WHERE status = 'exception'`))
}
