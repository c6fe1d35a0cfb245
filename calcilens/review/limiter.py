"""How often one may ask, or try a password."""

from __future__ import annotations

import hashlib
import ipaddress

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import Request

SIGN_IN_OF_NAME = parse("10/minute")
SIGN_IN_OF_ADDRESS = parse("60/minute")
"""A department may sign in from one address at eight in the morning."""
REQUESTS_OF_SESSION = parse("6000/minute")
"""Scrolling asks for pictures as fast as the screen shows them."""
REQUESTS_OF_ADDRESS = parse("600/minute")
"""Without a session: sign-in pages, and whoever guesses."""
MASKS_OF_READER = parse("2097152/day")
"""KiB as they are kept, which is for good: two GiB, hundreds of masks of the largest lesions."""
_NETWORK_BITS = 64
"""Of an IPv6 address: the rest is the network's own, and a machine may change it at will."""


class Limiter:
    """Counts what was asked, in memory."""

    def __init__(self) -> None:
        self._counter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def allows(self, limit: RateLimitItem, kind: str, who: str, cost: int = 1) -> bool:
        """Count one more, and tell whether it is within the limit.

        Args:
            limit: Of this module.
            kind: What is counted, so that counts of two kinds stay apart.
            who: A name, address or token; only its hash is kept.
            cost: How much it counts.
        """
        name = hashlib.sha256(who.encode()).hexdigest()
        return self._counter.hit(limit, kind, name, cost=cost)


def address_of(request: Request) -> str:
    """Return where a request comes from: the network, where one machine has many addresses."""
    host = request.client.host if request.client else "unknown"
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped or ipaddress.ip_network((address, _NETWORK_BITS), strict=False))
