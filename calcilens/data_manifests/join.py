"""Put manifests together, so that one run can learn from several sets of data."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from calcilens.data_manifests.schema import Manifest, new_manifest, plain_rows
from calcilens.errors import ManifestError, UsageError, compose

PATHS = ("image", "mask")


def join(manifests: Sequence[Manifest]) -> Manifest:
    """Put manifests together under the folder that all their images lie in.

    Rows keep their order, splits and folds. A row's name stays as it is where it is unique,
    and else gets its source before it.

    Raises:
        UsageError: There are fewer than two, or their images lie on different drives.
        ManifestError: Two rows have one name even so: the same rows are there twice.
    """
    if len(manifests) < 2:
        raise UsageError(compose("at least two manifests", f"{len(manifests)}"))
    root = _common([manifest.root for manifest in manifests])
    rows = []
    for manifest in manifests:
        below = manifest.root.relative_to(root)
        for row in plain_rows(manifest.frame):
            moved = {name: (below / row[name]).as_posix() for name in PATHS if row[name]}
            rows.append(row | moved)
    names = Counter(row["row_id"] for row in rows)
    for row in rows:
        if names[row["row_id"]] > 1:
            row["row_id"] = f"{row['source']}-{row['row_id']}"
    _require_unique([row["row_id"] for row in rows])
    return new_manifest(rows, root)


def _common(roots: Sequence[Path]) -> Path:
    try:
        return Path(os.path.commonpath(roots))
    except ValueError as error:
        fix = "put the images on one drive and name it with --root"
        raise UsageError(compose("images on one drive", "several", fix=fix)) from error


def _require_unique(names: Sequence[str]) -> None:
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        fix = "join each manifest once"
        raise ManifestError(compose("a name of its own", f"{count} rows {name}", fix=fix))
