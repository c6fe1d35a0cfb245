"""Writing the folder of a study: whole or not at all."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calcilens.errors import InputError, compose
from calcilens.files import part_folder, usual_mode
from calcilens.imaging.pool import cores
from calcilens.inference.export.fhir import bundle
from calcilens.inference.export.html import build
from calcilens.inference.export.mask import write_mask, write_saliency
from calcilens.inference.export.objects import Made
from calcilens.inference.export.pictures import pictures
from calcilens.inference.lesions import Lesion
from calcilens.inference.provenance import folder_name, kept
from calcilens.inference.report import StudyReport, to_json
from calcilens.inference.report_schema import SALIENCY, fault_of
from calcilens.inference.stopwatch import Stopwatch

OURS = {"report.html", "report.json", "run.json", "lesions", "dicom", "fhir.json"}
"""What a study's folder holds that a new report replaces; anything else in it is the user's."""
_OLD = ".old"


def write_study(
    report: StudyReport,
    out: Path,
    formats: tuple[str, ...],
    facts: dict[str, Any],
    watch: Stopwatch,
    made: Made | None = None,
) -> Path:
    """Write everything of one study and put it in place at once.

    Args:
        report: What to write.
        out: Folder that holds one folder a study.
        formats: Of `FORMATS`; lesions and run.json are always written.
        facts: Content of run.json; timings are added.
        watch: Takes the time of writing and has that of the other stages.
        made: DICOM objects of the report; None for none.

    Returns:
        The study's folder.
    """
    target = out / folder_name(report.study.study_uid)
    with _replacing(target) as part:
        watch.time("pictures and masks", lambda: _write_lesions(report, part))
        exports = []
        if "html" in formats:
            exports.append(watch.time("html", lambda: _write_html(report, part)))
        exports += _write_objects(made, part) if made else []
        if "fhir" in formats:
            exports.append(watch.time("fhir", lambda: _write_fhir(report, part)))
        if "json" in formats:
            _write_json(part / "report.json", _checked(to_json(report, exports)))
        seconds = {name: round(s, 3) for name, s in watch.seconds.items()}
        files = [e["path"] for e in exports] + ["report.json"] * ("json" in formats)
        run = {**facts, **kept(report)._asdict(), "files": files, "seconds": seconds}
        _write_json(part / "run.json", run)
    return target


def _write_lesions(report: StudyReport, part: Path) -> None:
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda lesion: _write_lesion(lesion, part), report.lesions))


def _write_lesion(lesion: Lesion, part: Path) -> None:
    folder = part / "lesions" / lesion.id
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in pictures(lesion).items():
        (folder / f"{name}.png").write_bytes(data)
    write_mask(lesion, folder / "mask.nii.gz")
    if lesion.saliency is not None and lesion.saliency.shown:
        write_saliency(lesion.image, lesion.saliency, folder / SALIENCY)


def _write_html(report: StudyReport, part: Path) -> dict[str, str]:
    return _export("html", Path("report.html"), build(report).encode(), part)


def _write_fhir(report: StudyReport, part: Path) -> dict[str, str]:
    return _export("fhir", Path("fhir.json"), _text(bundle(report)).encode(), part)


def _write_objects(made: Made, part: Path) -> list[dict[str, str]]:
    count: Counter[str] = Counter()
    exports = []
    for name, data in made.files:
        count[name] += 1
        exports.append(_export(name, Path("dicom", f"{name}-{count[name]}.dcm"), data, part))
    return exports


def _export(name: str, path: Path, data: bytes, part: Path) -> dict[str, str]:
    """Write a file of the report and return what report.json says of it."""
    (part / path.parent).mkdir(exist_ok=True)
    (part / path).write_bytes(data)
    return {"format": name, "path": str(path), "sha256": hashlib.sha256(data).hexdigest()}


def _checked(content: dict[str, Any]) -> dict[str, Any]:
    """Check the content of report.json against its schema."""
    fault = fault_of(content)
    if fault is not None:
        raise InputError(
            compose("a report that fits its schema", fault.message[:200], where=fault.json_path)
        )
    return content


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(_text(content), encoding="utf-8")


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Give a folder beside the target to fill; it takes the target's place when all is well."""
    target = _real(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    _mend(target)
    with part_folder(target.parent, target.name) as part:
        part.chmod(usual_mode(0o777))
        yield part
        old = target.with_name(f".{target.name}-{os.getpid()}{_OLD}")
        try:
            if target.exists():
                target.replace(old)
            part.replace(target)
        finally:
            _mend(target)


def _real(target: Path) -> Path:
    """Return the folder that a link to one stands for, so that the link stays.

    Raises:
        InputError: Something else is in its place.
    """
    if target.is_dir():
        return target.resolve()
    if target.exists() or target.is_symlink():
        found = "a file" if target.exists() else "a link to nothing"
        fix = "move it or change --out"
        raise InputError(compose("a folder or nothing", found, where=target.name, fix=fix))
    return target


def _drop(old: Path, target: Path) -> None:
    """Remove a replaced folder; what the user has put into it moves to the new one."""
    for entry in [e for e in old.iterdir() if e.name not in OURS]:
        entry.replace(target / entry.name)
    shutil.rmtree(old, ignore_errors=True)


def _mend(target: Path) -> None:
    """Clear the report that was replaced; where none took its place, it comes back."""
    for old in sorted(target.parent.glob(f".{glob.escape(target.name)}-*{_OLD}")):
        if target.exists():
            _drop(old, target)
        else:
            old.replace(target)
