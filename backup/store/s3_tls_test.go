package store_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/backup/store"
	"loanserve/backup/store/storetest"
)

// certificate makes one for this machine that is good until an instant.
func certificate(t *testing.T, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "store"},
		NotBefore: until.AddDate(-1, 0, 0), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A store whose certificate has expired, or that nobody vouches for, gets nothing: the
// error says which, and comes at once.
func TestStoreWithABadCertificate(t *testing.T) {
	t.Parallel()
	for says, until := range map[string]time.Time{
		"certificate has expired":                 time.Now().AddDate(0, 0, -1),
		"certificate signed by unknown authority": time.Now().AddDate(0, 0, 1),
	} {
		server := httptest.NewUnstartedServer(storetest.Fake(t))
		server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t, until)}, MinVersion: tls.VersionTLS12}
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // It tells of each client that leaves.
		server.StartTLS()
		t.Cleanup(server.Close)
		address := "s3://" + storetest.Bucket + "?path_style=true&endpoint=" + server.URL
		_, err := store.Open(t.Context(), address, storetest.Environment)
		require.ErrorContains(t, err, says)
	}
}
