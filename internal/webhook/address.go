package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// ErrAddress says that an address is not one of the public Internet, and that nobody
// has allowed it.
var ErrAddress = errors.New("the address is not a public one")

// notPublic are the networks that netip does not know by itself as not public.
//
// Sources: the IANA registries of special-purpose addresses, versions 4 and 6.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carriers' own
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	// Within 2000::/3; some of them carry an address of version 4 inside.
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"),
}

// publicV6 is all that is given out of version 6. What lies outside is special, such as
// 64:ff9b::/96, behind which a translator may reach private addresses of version 4.
var publicV6 = netip.MustParsePrefix("2000::/3")

// isPublic says whether an address is one of the public Internet.
func isPublic(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !publicV6.Contains(a) {
		return false
	}
	return !slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(a) })
}

// guard judges the addresses that are dialed. Those of the networks that are allowed
// may be dialed; others when they are public, if public is true.
type guard struct {
	allow  []netip.Prefix
	public bool
}

// control implements net.Dialer.Control: it is called with the address that is about to
// be connected to, whatever name led there.
func (g guard) control(network, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" || to.Addr().Zone() != "" {
		return fmt.Errorf("%w: %s", ErrAddress, address)
	}
	a := to.Addr().Unmap() // ::ffff:127.0.0.1 is 127.0.0.1.
	allowed := slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(a) })
	if allowed || g.public && isPublic(a) {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrAddress, a)
}
