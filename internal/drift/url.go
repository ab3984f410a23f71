package drift

import (
	"errors"
	"net/url"
	"strings"
)

// withDatabase is the connection string for another database of the same server,
// whether it is a URL or of the form of key=value, where the last one wins.
func withDatabase(address, name string) (string, error) {
	if !strings.HasPrefix(address, "postgres://") && !strings.HasPrefix(address, "postgresql://") {
		return address + " dbname=" + name, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("the database URL cannot be read") // Its own error repeats it, with the password.
	}
	query := u.Query()
	query.Del("dbname") // It would win over the path.
	u.RawQuery, u.Path = query.Encode(), "/"+name
	return u.String(), nil
}
