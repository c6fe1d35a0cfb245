"""`calcilens phantoms benchmark` and `sheet` as a user calls them."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer

from calcilens.commands import evaluate, phantoms
from calcilens.commands.console import EXIT_DONE, EXIT_USAGE, guarded
from calcilens.data_manifests.schema import read_manifest, write_manifest
from calcilens.phantoms.benchmark import PREDICTION_COLUMNS
from calcilens.vocabulary import PATTERN_KEYS

COUNT = 24


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    app = typer.Typer(pretty_exceptions_enable=False)
    phantoms.register(app)
    evaluate.register(app)
    monkeypatch.setattr(sys, "argv", ["calcilens", *words])
    return guarded(app)


def benchmark(monkeypatch: pytest.MonkeyPatch, out: Path, *more: str) -> dict[str, Any]:
    words = ("phantoms", "benchmark", "--out", str(out), "--n", str(COUNT), *more)
    assert call(monkeypatch, *words) == EXIT_DONE
    found: dict[str, Any] = json.loads((out / "BENCHMARK.json").read_text())
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("benchmark") / "ct"
    with pytest.MonkeyPatch.context() as patch:
        benchmark(patch, out, "--workers", "1")
    return out


def template(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions-template.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_two_people_with_the_same_seed_have_the_same_benchmark(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = json.loads((made / "BENCHMARK.json").read_text())
    assert benchmark(monkeypatch, tmp_path / "again", "--workers", "2") == mine
    assert (tmp_path / "again" / "truth.jsonl").read_bytes() == (made / "truth.jsonl").read_bytes()
    other = benchmark(monkeypatch, tmp_path / "other", "--seed", "1", "--workers", "2")
    for name in ("truth_sha256", "images_sha256"):
        assert other[name] != mine[name]


def test_counts_are_those_of_the_manifest_and_all_rows_are_there_to_test(made: Path) -> None:
    stated = json.loads((made / "BENCHMARK.json").read_text())
    frame = read_manifest(made / "manifest.parquet").frame
    assert set(frame["split"]) == {"test"}
    assert stated["lesions"] == len(frame) == COUNT
    assert stated["calcified"] == (frame["finding"] == 1).sum()
    assert stated["concerning"] == (frame["concern"] == 1).sum()
    assert stated["people"] == frame["patient_key"].nunique()
    named = [key for keys in frame["pattern"] if keys is not None for key in keys]
    assert stated["lesions_by_pattern"] == {key: named.count(key) for key in PATTERN_KEYS}


def test_the_template_has_a_line_for_every_lesion_and_nothing_in_its_cells(made: Path) -> None:
    rows = template(made)
    assert tuple(rows[0]) == PREDICTION_COLUMNS
    frame = read_manifest(made / "manifest.parquet").frame
    assert [row["row_id"] for row in rows] == list(frame["row_id"])
    assert {row[name] for row in rows for name in PREDICTION_COLUMNS[1:]} == {""}


def test_predictions_that_state_the_truth_are_judged_perfect(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    truth = read_manifest(made / "manifest.parquet").frame.set_index("row_id")
    rows = []
    for row in template(made):
        known = truth.loc[row["row_id"]]
        keys = known["pattern"] or ()
        shares = {f"pattern_{key}": 1 / len(keys) for key in keys}
        rows.append(row | {"finding": known["finding"], "concern": known["concern"]} | shares)
    pd.DataFrame(rows).to_csv(tmp_path / "p.csv", index=False)
    capsys.readouterr()
    words = ("evaluate", "--manifest", str(made / "manifest.parquet"), "--json", "--split", "test")
    assert call(monkeypatch, *words, "--predictions", str(tmp_path / "p.csv")) == EXIT_DONE
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == COUNT
    assert found["finding"]["auroc"] == found["concern"]["auroc"] == 1
    assert found["pattern"]["accuracy"] == found["pattern"]["macro_auroc"] == 1


def test_the_readme_shows_commands_that_name_this_set(made: Path) -> None:
    text = (made / "README.md").read_text()
    assert f"calcilens phantoms benchmark --modality ct --seed 0 --n {COUNT} --out DIR" in text
    assert "{" not in text
    assert all(f"| `{key}` |" in text for key in PATTERN_KEYS)


def test_a_folder_with_another_set_is_left_alone(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    before = (made / "BENCHMARK.json").read_bytes()
    words = ("phantoms", "benchmark", "--out", str(made), "--seed", "9", "--n", "2")
    assert call(monkeypatch, *words) == EXIT_USAGE
    assert "name another --out" in capsys.readouterr().err
    assert (made / "BENCHMARK.json").read_bytes() == before


def test_rows_that_were_there_keep_their_split_and_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path = tmp_path / "manifest.parquet"
    words = ("phantoms", "patches", "--out", str(tmp_path), "--workers", "1", "--n")
    assert call(monkeypatch, *words, "7") == EXIT_DONE
    assert "new" not in capsys.readouterr().err
    made = read_manifest(path)
    splits: Any = ["train", "train", "val", "test", "unused", "train", None]
    folds = pd.array([0, 1, 2, 0, None, 1, None], "Int64")
    write_manifest(replace(made, frame=made.frame.assign(split=splits, fold=folds)), path)
    assert call(monkeypatch, *words, "7") == EXIT_DONE
    assert "new" not in capsys.readouterr().err
    assert call(monkeypatch, *words, "9") == EXIT_DONE
    assert "2 of 9 rows are new, without split and fold: `calci" in capsys.readouterr().err
    frame = read_manifest(path).frame
    assert frame["split"].tolist() == [*splits, None, None]
    assert frame["fold"].fillna(-1).tolist() == [0, 1, 2, 0, -1, 1, -1, -1, -1]


def test_a_benchmark_that_is_made_again_keeps_what_was_filled_in(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    again = Path(shutil.copytree(made, tmp_path / "again"))
    (again / "predictions-template.csv").write_text("filled in")
    benchmark(monkeypatch, again, "--workers", "1")
    assert (again / "predictions-template.csv").read_text() == "filled in"
    assert (
        "predictions-template.csv is there already, and stays as it is" in capsys.readouterr().err
    )
    assert set(read_manifest(again / "manifest.parquet").frame["split"]) == {"test"}


def test_a_sheet_needs_the_name_of_a_png(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert call(monkeypatch, "phantoms", "sheet", "--out", str(tmp_path / "a.jpg")) == EXIT_USAGE
    assert capsys.readouterr().err == "calcilens: --out: expected the name of a .png, found a.jpg\n"
