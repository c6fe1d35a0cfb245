"""Sets of patches: many lesions, each a small image with its exact truth beside it; and of films.

`write_patches` writes `images/`, `masks/` and `truth.jsonl`, one line a lesion.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from calcilens.errors import UsageError, compose
from calcilens.files import PART, write_whole
from calcilens.phantoms.backgrounds import fingerprint, list_backgrounds
from calcilens.phantoms.ct_patches import write_ct
from calcilens.phantoms.ct_transplants import write_ct_transplant
from calcilens.phantoms.drafts import LESIONS_A_PERSON, Job
from calcilens.phantoms.film_transplants import write_film_transplant
from calcilens.phantoms.intact import is_there, line_path
from calcilens.phantoms.radiograph_patches import write_radiograph
from calcilens.phantoms.whole_films import write_film
from calcilens.phantoms.workers import write_all

FORMAT = 1
"""Version of the simulation: sets of different versions are not mixed."""
SET = "set.json"
"""What a set was begun with."""
WHOLE = "whole radiographs"


def write_patches(
    job: Job,
    count: int,
    *,
    workers: int = 2,
    advance: Callable[[int], None] = lambda done: None,
    stopping: Callable[[], None] = lambda: None,
) -> Path:
    """Write patches that are not there yet, or not whole, and their truth.

    Args:
        job: What to make.
        count: How many.
        workers: Processes.
        advance: Told how many patches were done since the last call.
        stopping: Called when the user stops it, before the patches in hand are done.

    Returns:
        The truth file.
    """
    _prepare(job)
    numbers = [i for i in range(count) if not is_there(job, i)]
    advance(count - len(numbers))
    persons: dict[int, list[int]] = {}
    for number in numbers:  # a process draws a person once for all lesions of a chunk
        persons.setdefault(number // LESIONS_A_PERSON, []).append(number)
    write = partial(_write_patch, job)
    write_all(write, list(persons.values()), workers, advance=advance, stopping=stopping)
    lines = [line_path(job, i).read_text(encoding="utf-8") for i in range(count)]
    truth = job.out / "truth.jsonl"
    write_whole(truth, "".join(lines).encode())
    return truth


def _prepare(job: Job) -> None:
    """Make the folders; refuse one that another set was begun in, or anything else."""
    stated = _stated(job)
    path = job.out / SET
    found = _read_set(path) if path.is_file() else stated
    changed = [name for name in stated if found.get(name) != stated[name]]
    if changed:
        old, new = (", ".join(f"{n} {of.get(n)}" for n in changed) for of in (found, stated))
        fix = "name another --out, or the options that it was begun with"
        raise UsageError(compose(f"{old}, as in {SET} there", new, where="--out", fix=fix))
    if not path.is_file():
        _refuse_others(job.out)
        job.out.mkdir(parents=True, exist_ok=True)
        write_whole(path, _json(stated))
    for part in job.out.rglob(f"{PART}*"):
        part.unlink()  # of a run that was killed
    for folder in ("images", "masks", "truth"):
        (job.out / folder).mkdir(exist_ok=True)


def _stated(job: Job) -> dict[str, Any]:
    """Return what all patches of a set have in common."""
    listed = list_backgrounds(job.backgrounds, job.modality) if job.backgrounds else ()
    return {
        "format": FORMAT,
        "modality": WHOLE if job.whole else job.modality,
        "seed": job.seed,
        "domain": job.domain,
        "backgrounds": fingerprint(listed) if listed else False,
    }


def _read_set(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        fix = "name another --out: what this set was begun with is lost"
        raise UsageError(compose("a JSON object", "something else", where=f"--out, {SET}", fix=fix))
    return found


def _refuse_others(out: Path) -> None:
    """Refuse a folder that no set was begun in and that is not empty."""
    if out.exists() and not out.is_dir():
        found = "a file"
    elif out.is_dir() and any(not entry.name.startswith(".") for entry in out.iterdir()):
        found = f"other files and no {SET}"
    else:
        return
    wanted = f"a folder that is missing, empty or holds a set with its {SET}"
    raise UsageError(compose(wanted, found, where="--out", fix="name another --out"))


def _write_patch(job: Job, number: int) -> None:
    """Write image, mask and truth; the truth comes last, and says that all is there."""
    if job.whole:
        line = write_film(job, number)
    elif job.backgrounds is None:
        line = _WRITERS[job.modality](job, number)
    else:
        line = _TRANSPLANTS[job.modality](job, job.backgrounds, number)
    write_whole(line_path(job, number), _json(line))


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value) + "\n").encode()


_WRITERS = {"ct": write_ct, "radiograph": write_radiograph}
_TRANSPLANTS = {"ct": write_ct_transplant, "radiograph": write_film_transplant}
