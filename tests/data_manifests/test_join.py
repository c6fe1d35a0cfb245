from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calcilens.data_manifests.join import join
from calcilens.data_manifests.pixels import load_mask, load_stack
from calcilens.data_manifests.schema import Manifest, new_manifest, plain_rows
from calcilens.data_manifests.validate import validate
from calcilens.errors import ManifestError, UsageError
from tests.data_manifests.made import png_manifest, tissue
from tests.data_manifests.strategies import manifests


def rooted(manifest: Manifest, root: str, source: str) -> Manifest:
    return Manifest(manifest.frame.assign(source=source), Path(root), manifest.metadata)


@settings(max_examples=30)
@given(parts=st.lists(manifests(), min_size=2, max_size=3))
def test_every_row_is_there_once_in_order_and_says_what_it_said(parts: list[Manifest]) -> None:
    parts = [rooted(part, f"/data/{n}/images", f"set-{n}") for n, part in enumerate(parts)]
    joined = join(parts)
    assert joined.root == Path("/data")
    before = [(part.root, row) for part in parts for row in plain_rows(part.frame)]
    names = Counter(row["row_id"] for _, row in before)
    for (root, old), new in zip(before, plain_rows(joined.frame), strict=True):
        for name in ("image", "mask"):
            assert (new[name] and joined.root / new[name]) == (old[name] and root / old[name])
        alone = names[old["row_id"]] == 1
        assert new["row_id"] == (old["row_id"] if alone else f"{old['source']}-{old['row_id']}")
        assert {**new, "image": 0, "mask": 0, "row_id": 0} == {
            **old,
            **{"image": 0, "mask": 0, "row_id": 0},
        }


def test_the_images_of_joined_manifests_are_found(tmp_path: Path) -> None:
    parts = [
        png_manifest(tmp_path / name, {"a.png": tissue(seed), "b.png": tissue(seed + 9)})
        for seed, name in enumerate(("one", "two"))
    ]
    parts = [rooted(part, str(part.root), part.root.name) for part in parts]
    parts[0].frame["mask"] = ["b.png", None]
    joined = join(parts)
    assert validate(joined) == []
    assert joined.frame["row_id"].tolist() == ["one-a.png", "one-b.png", "two-a.png", "two-b.png"]
    assert (load_stack(joined, joined.frame.iloc[2]) == tissue(1)).all()
    mask = load_mask(joined, joined.frame.iloc[0])
    assert mask is not None
    assert (mask == (tissue(9) != 0)).all()


def test_the_same_rows_twice_are_refused(tmp_path: Path) -> None:
    made = png_manifest(tmp_path, {"a.png": tissue(1)})
    with pytest.raises(ManifestError, match=r"a name of its own, found 2 rows made-a\.png"):
        join([made, made])
    with pytest.raises(UsageError, match="at least two manifests, found 1"):
        join([made])
    assert new_manifest(plain_rows(made.frame), tmp_path).frame.equals(made.frame)
