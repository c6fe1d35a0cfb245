"""What is worked out once for each volume, however many threads ask for it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from calcilens.imaging.images import Volume

Fact = TypeVar("Fact")


class OncePerVolume(Generic[Fact]):
    """Facts by volume; those of a volume that is gone are gone too.

    Args:
        find: Works a fact out.
    """

    def __init__(self, find: Callable[[Volume], Fact]) -> None:
        self._find, self._lock = find, Lock()
        self._known: WeakKeyDictionary[Volume, Fact] = WeakKeyDictionary()

    def __call__(self, volume: Volume) -> Fact:
        """Return the fact of a volume."""
        with self._lock:
            if volume not in self._known:
                self._known[volume] = self._find(volume)
            return self._known[volume]

    def replace(self, volume: Volume, fact: Fact) -> None:
        """Take a fact from elsewhere for that of a volume."""
        with self._lock:
            self._known[volume] = fact
