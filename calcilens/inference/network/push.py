"""Send objects to an archive: each once, remembered, and verified by asking for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from calcilens.errors import ArchiveError, NotOffered, Unreachable
from calcilens.inference.network.archive import Archive, Refused
from calcilens.inference.network.ledger import Ledger
from calcilens.inference.network.objects import ObjectFile
from calcilens.inference.network.retries import Patience, first_goes_last, persist


class Plan(NamedTuple):
    """What is to be done.

    Args:
        due: To be sent.
        known: Sent before, and still held by the archive where it can be asked.
    """

    due: tuple[ObjectFile, ...]
    known: tuple[ObjectFile, ...]


@dataclass(frozen=True)
class Pushed:
    """What became of the objects.

    Args:
        sent: Taken now.
        known: Sent by an earlier run.
        refused: By the archive, with the reason.
        verified: Of all that it took, how many it lists; None where it cannot be asked.
    """

    sent: int
    known: int
    refused: tuple[Refused, ...]
    verified: int | None


class Push:
    """Sends objects to an archive.

    Args:
        archive: Where to.
        ledger: What it has taken before.
        patience: With the archive.
        tell: Gets one line for every trouble.
        progress: Gets how many objects are through, of how many.
    """

    def __init__(
        self,
        archive: Archive,
        ledger: Ledger,
        patience: Patience,
        *,
        tell: Callable[[str], None],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self._archive, self._ledger, self._patience = archive, ledger, patience
        self._tell, self._progress = tell, progress
        self._why_unasked = ""

    def plan(self, files: Sequence[ObjectFile], *, force: bool = False) -> Plan:
        """Return what has to be sent.

        Args:
            files: The objects.
            force: Send also what was sent before.

        Raises:
            ArchiveError: The archive cannot be reached.
        """
        before = [] if force else [f for f in files if self._ledger.has(f)]
        held: set[str] | None = set()

        def ask() -> None:
            nonlocal held
            held = self._held(before)

        if before:
            persist(ask, lambda: 0, self._patience, self._tell)
        known = {f: None for f in before if held is None or f.instance.sop_uid in held}
        again = len(before) - len(known)
        if again:
            self._tell(f"{again} objects that were sent before are not there now: sent again")
        return Plan(tuple(f for f in files if f not in known), tuple(known))

    def send(self, plan: Plan) -> Pushed:
        """Send what is due.

        Raises:
            ArchiveError: The archive refuses all, or cannot be reached; what it took is remembered.
        """
        left = {f.instance.sop_uid: f for f in plan.due}
        total = len(left)
        refused: list[Refused] = []

        def taken(file: ObjectFile) -> None:
            self._ledger.add(file)
            del left[file.instance.sop_uid]
            self._progress(total - len(left), total)

        def step() -> None:
            with first_goes_last(left):
                refused[:] = self._archive.send(list(left.values()), taken)

        if plan.due:
            persist(step, lambda: total - len(left), self._patience, self._tell)
        sent = [f for f in plan.due if f.instance.sop_uid not in left]
        verified = self._verify([*sent, *plan.known])
        return Pushed(len(sent), len(plan.known), tuple(refused), verified)

    def _verify(self, files: Sequence[ObjectFile]) -> int | None:
        """Return how many objects the archive lists; it may need a moment until it does."""
        listed = 0

        def ask() -> None:
            nonlocal listed
            held = self._held(files)
            listed = -1 if held is None else sum(f.instance.sop_uid in held for f in files)
            if 0 <= listed < len(files):
                raise Unreachable(f"{len(files) - listed} objects sent are not listed yet")

        try:
            persist(ask, lambda: listed, self._patience, self._tell)
        except Unreachable as error:
            self._tell(str(error))
        return None if listed < 0 else listed

    def _held(self, files: Sequence[ObjectFile]) -> set[str] | None:
        """Return UIDs that the archive holds of the files' studies; None where it does not say."""
        studies = sorted({f.instance.study_uid for f in files})
        try:
            return {i.sop_uid for study in studies for i in self._archive.instances(study)}
        except Unreachable:
            raise
        except NotOffered:  # a node that only takes objects, such as our own
            return None
        except ArchiveError as error:
            if str(error) != self._why_unasked:  # asked before and after sending, told once
                self._tell(f"what the archive holds cannot be asked: {error}")
            self._why_unasked = str(error)
            return None
