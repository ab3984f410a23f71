package ops

import "net/http"

func (p *Pages) overview(r *http.Request, v *visitor) (*view, error) {
	return &view{Template: "detail.html", Title: "Overview", Body: &detail{}}, nil
}
