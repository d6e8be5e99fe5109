"""IPv4 addresses within IPv6 ones: a connection to the outer address ends at the inner one.

Source: RFC 4291, 2.5.5 (mapped, compatible); RFC 3056 (6to4); RFC 6052 and 8215 (NAT64, as networks
have it whose machines only speak IPv6); RFC 7915 (translated).
"""

import ipaddress

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# In their last 32 bits these hold an IPv4 address
_ENDING_IN_IPV4 = tuple(
    ipaddress.IPv6Network(network)
    for network in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
_LAST_32_BITS = (1 << 32) - 1


def embedded_addresses(address: IPAddress) -> list[IPAddress]:
    """Return the IPv4 address that an IPv6 address holds; nothing where it holds none."""
    if not isinstance(address, ipaddress.IPv6Address):
        return []
    if address.sixtofour is not None:
        return [address.sixtofour]
    if any(address in network for network in _ENDING_IN_IPV4):
        return [ipaddress.IPv4Address(int(address) & _LAST_32_BITS)]
    return []
