"""How often one may ask, or try a password."""

from __future__ import annotations

import hashlib

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

SIGN_IN_OF_NAME = parse("10/minute")
SIGN_IN_OF_ADDRESS = parse("60/minute")
"""A department may sign in from one address at eight in the morning."""
REQUESTS_OF_SESSION = parse("6000/minute")
"""Scrolling asks for pictures as fast as the screen shows them."""
REQUESTS_OF_ADDRESS = parse("600/minute")
"""Without a session: sign-in pages, and whoever guesses."""


class Limiter:
    """Counts what was asked, in memory."""

    def __init__(self) -> None:
        self._counter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def allows(self, limit: RateLimitItem, kind: str, who: str) -> bool:
        """Count one more, and tell whether it is within the limit.

        Args:
            limit: Of this module.
            kind: What is counted, so that counts of two kinds stay apart.
            who: A name, address or token; only its hash is kept.
        """
        return self._counter.hit(limit, kind, hashlib.sha256(who.encode()).hexdigest())
