package database

import (
	"net/url"
	"strings"
)

// InDatabase is the connection string for another database of the same server,
// whether it is a URL or of the form of key=value, where the last one wins. What the
// string says of sessions besides, such as certificates, stays as it is. It returns
// ErrURL for a URL that cannot be read.
func InDatabase(address, name string) (string, error) {
	if !strings.HasPrefix(address, "postgres://") && !strings.HasPrefix(address, "postgresql://") {
		return address + " dbname=" + name, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", ErrURL // Its own error repeats it, with the password.
	}
	query := u.Query()
	query.Del("dbname") // It would win over the path.
	u.RawQuery, u.Path = query.Encode(), "/"+name
	return u.String(), nil
}
