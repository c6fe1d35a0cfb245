"""A process that predicts: `python -m calcilens.inference.network.worker OPTIONS`.

One JSON line in (the folder of a study), one JSON line out. It ends when its input ends, also in
the middle of a study: so it cannot outlive the program that started it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self, TextIO

from calcilens.errors import CalcilensError, StudyError, unexpected
from calcilens.imaging.study import read_study
from calcilens.inference.batch import Wishes, run_all
from calcilens.inference.chosen import Chosen, Names


@dataclass(frozen=True)
class Options:
    """What a worker is started with.

    Args:
        out: Folder of the reports.
        formats: Of `FORMATS`.
        models: Names or paths: for CT, for radiographs, and of the finder.
    """

    out: str
    formats: tuple[str, ...]
    models: tuple[str | None, str | None, str | None] = (None, None, None)

    def to_json(self) -> str:
        """Return them as an argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` wrote."""
        said = json.loads(text)
        return cls(said["out"], tuple(said["formats"]), tuple(said["models"]))


class Predictor:
    """Reports on studies; models are loaded once."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._known: dict[tuple[bool, ...], Chosen] = {}

    def report(self, folder: Path) -> dict[str, Any]:
        """Report on a study; return the folder of the report, and how much was left out.

        Raises:
            CalcilensError: It cannot be done.
        """
        study = read_study(folder)
        if not study.images:
            why = study.skipped[0].reason if study.skipped else "it has none"
            raise StudyError(f"no image of it can be read: {why}")
        names = Names(*self._options.models)
        chosen = Chosen.for_studies([study], names, search=True)
        key = tuple(m is not None for m in (chosen.ct, chosen.radiograph, chosen.finder))
        models = self._known.setdefault(key, chosen)
        wishes = Wishes(Path(self._options.out), self._options.formats)
        (outcome,) = run_all([study], models, None, wishes, seconds={})
        if outcome.folder is None:
            raise StudyError(outcome.why or "it failed")
        return {"report": outcome.folder, "skipped": outcome.skipped}


def answer(predictor: Predictor, folder: str) -> dict[str, Any]:
    """Return what to say of a study; no error of one study ends the worker."""
    try:
        return predictor.report(Path(folder))
    except CalcilensError as error:
        return {"error": str(error), "lasting": True}
    except OSError as error:
        return {"error": error.strerror or type(error).__name__, "lasting": False}
    except MemoryError:
        return {"error": "not enough memory for it", "lasting": False}
    except Exception as error:
        return {"error": unexpected(error), "lasting": True}


def _read(stream: TextIO, lines: SimpleQueue[str]) -> None:
    """Pass lines on; end the process when there are no more."""
    for line in stream:
        lines.put(line)
    os._exit(0)


def main(options: str) -> None:
    """Answer until the input ends."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # no library may speak in our name
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin, lines), daemon=True).start()
    predictor = Predictor(Options.from_json(options))
    while True:
        said = answer(predictor, json.loads(lines.get()))
        replies.write(json.dumps(said) + "\n")
        replies.flush()


if __name__ == "__main__":
    main(sys.argv[1])
