"""`calcilens evaluate` as a user or a program calls it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import typer

from calcilens.commands import evaluate
from calcilens.commands.console import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, guarded
from calcilens.data_manifests.schema import write_manifest
from calcilens.training import metrics
from tests.training.evaluation_cases import guesses, labelled


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run the command in a folder with m.parquet and p.csv; return its exit code."""
    manifest = labelled(tmp_path)
    write_manifest(manifest, tmp_path / "m.parquet")
    guesses(manifest).to_csv(tmp_path / "p.csv", index=False)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    evaluate.register(app)
    monkeypatch.chdir(tmp_path)

    def call(*options: str) -> int:
        monkeypatch.setattr(sys, "argv", ["calcilens", "evaluate", *options])
        return guarded(app)

    return call


GIVEN = ("--manifest", "m.parquet", "--predictions", "p.csv")


def test_json_is_all_that_stands_on_standard_output(run: Any, capsys: Any) -> None:
    assert run(*GIVEN, "--split", "test", "--json") == EXIT_DONE
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["n"], found["model"], found["split"]) == (40, "p.csv", "test")
    assert found["ece_binning"] == "15 equal-width bins of probability"
    assert found["seconds"] > 0
    assert err == ""


def test_the_table_names_figures_intervals_and_what_was_left_out(run: Any, capsys: Any) -> None:
    assert run(*GIVEN) == EXIT_DONE
    out = capsys.readouterr().out
    for said in (
        "AUROC",
        "calcified",
        "concern",
        "pattern",
        "fewer than 3 readers",
        "not a medical",
    ):
        assert said in out


def test_out_holds_the_page_and_the_command_that_made_it(run: Any, capsys: Any) -> None:
    assert run(*GIVEN, "--out", "deep/folder", "--json") == EXIT_DONE
    assert "page: deep/folder/evaluation.html" in capsys.readouterr().err
    page = Path("deep/folder/evaluation.html").read_text()
    assert "calcilens evaluate --manifest m.parquet --predictions p.csv --out deep/folder" in page
    assert run("--manifest", "m.parquet", "--predictions", "deep/folder/predictions.csv") == 0
    assert "not read" not in capsys.readouterr().err


@pytest.mark.parametrize("limit", [5_000, 60_000])
def test_an_evaluation_is_written_whole_or_not_at_all(run: Any, capsys: Any, limit: int) -> None:
    resource = pytest.importorskip("resource")
    assert run(*GIVEN, "-o", "out") == EXIT_DONE
    before = {p: p.read_bytes() for p in Path("out").rglob("*") if p.is_file()}
    capsys.readouterr()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))  # of any one file, in bytes
    try:
        assert run(*GIVEN, "--out", "new") == run(*GIVEN, "--out", "out") == EXIT_FAILED
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    first, second = capsys.readouterr().err.splitlines()
    assert "File too large (new/" in first
    assert "File too large (out/" in second
    assert not Path("new").exists()
    assert {p: p.read_bytes() for p in Path("out").rglob("*") if p.is_file()} == before


def test_columns_that_are_not_read_are_named_in_one_line(run: Any, capsys: Any) -> None:
    table = pd.read_csv("p.csv").rename(columns={"pattern_diffuse": "patern_diffuse"})
    table.assign(members_used=1, remark="x").to_csv("p.csv")  # with a column without a name
    assert run(*GIVEN, "--json") == EXIT_DONE
    unread, sums = capsys.readouterr().err.splitlines()
    assert unread == "warning: p.csv: columns that are not read: patern_diffuse, remark"
    assert "rows do not sum to 1 (mean 0." in sums  # the misspelt one is missing in them


def test_a_row_that_is_predicted_twice_is_refused(run: Any, capsys: Any) -> None:
    table = pd.read_csv("p.csv")
    pd.concat([table, table[:2]]).to_csv("p.csv", index=False)
    assert run(*GIVEN) == EXIT_FAILED
    said = "p.csv: expected every row_id once, found lesion-0 twice (2 repeated rows)"
    assert capsys.readouterr().err == f"calcilens: {said}; remove one of each\n"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--manifest", "m.parquet"), EXIT_USAGE, "either --model or --predictions, found neither"),
        ((*GIVEN, "--model", "x"), EXIT_USAGE, "either --model or --predictions, found both"),
        ((*GIVEN, "--saliency", "9"), EXIT_USAGE, "--saliency: expected --model, found"),
        ((*GIVEN, "--out-of-domain"), EXIT_USAGE, "--out-of-domain: expected --model, found"),
        ((*GIVEN, "--onto-card", "x"), EXIT_USAGE, "--onto-card: expected --model, found"),
        (
            ("--manifest", "m.parquet", "--model", "a/x", "--model", "b/x"),
            EXIT_USAGE,
            "--model: expected models of different names, found x twice",
        ),
        ((*GIVEN, "--split", "holdout"), EXIT_USAGE, "--split: expected all, train, val"),
        ((*GIVEN, "--split", "unused"), EXIT_FAILED, "splits there: test, train, val"),
        (("--manifest", "no.parquet", *GIVEN[2:]), EXIT_FAILED, "no.parquet"),
        ((*GIVEN[:3], "no.csv"), EXIT_FAILED, "no.csv"),
        (("--manifest", "m.parquet", "--model", "no-such"), EXIT_FAILED, "no-such"),
    ],
)
def test_a_mistake_ends_in_one_line(
    run: Any, capsys: Any, options: tuple[str, ...], code: int, message: str
) -> None:
    assert run(*options) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("calcilens: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let models of any name answer as the guesses do, one row seen by all members."""
    answers = guesses(labelled(tmp_path)).set_index("row_id").assign(members_used=1)
    answers.loc["lesion-7", "members_used"] = 0

    def load_model(name: str) -> SimpleNamespace:
        return SimpleNamespace(card={"name": name, "version": "0.1"}, name=name, sha256="ab" * 32)

    modules: dict[str, dict[str, Any]] = {
        "calcilens.models.registry": {"find": lambda name: None},
        "calcilens.models.loading": {"load_model": load_model},
        "calcilens.training.predict_rows": {
            "predict_manifest": lambda manifest, model, rows: answers.loc[rows["row_id"]]
        },
    }
    for name, members in modules.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.usefixtures("models")
def test_a_model_is_named_and_seen_rows_are_warned_of(run: Any, capsys: Any) -> None:
    assert run("--manifest", "m.parquet", "--model", "tiny", "--json") == EXIT_DONE
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["model"], found["model_sha256"]) == ("tiny", "ab" * 32)
    assert (found["n"], found["n_seen_in_training"]) == (119, 1)
    assert err.startswith("warning: 1 of 120 rows were trained on by every member")


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("modality", "films", "judged", "said"),
    [
        ("CT", 0, 120, ""),
        ("CT", 40, 80, "made for CT: 40 of 120 rows are of another modality and left out"),
        ("radiograph", 40, 40, "made for radiograph: 80 of 120 rows are of another modality and"),
        ("radiograph", 0, 120, "made for radiograph, but all 120 rows are of another modality: "),
    ],
)
def test_a_model_is_judged_on_its_own_modality_or_warned_of(
    run: Any, capsys: Any, tmp_path: Path, modality: str, films: int, judged: int, said: str
) -> None:
    made = labelled(tmp_path)
    made.frame["modality"] = ["DX"] * films + ["CT"] * (120 - films)
    write_manifest(made, "m.parquet")
    model = SimpleNamespace(card={"name": "m", "modality": modality}, name="m", sha256="ab" * 32)
    load = {"load_model": lambda name: model}
    vars(sys.modules["calcilens.models.loading"]).update(load)
    assert run("--manifest", "m.parquet", "--model", "m", "--json", "--include-seen") == EXIT_DONE
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["n_in_split"] == judged
    assert said in (found["other_modality"] or "")
    lines = [line for line in err.splitlines() if "modality" in line]
    assert lines == ([f"warning: {found['other_modality']}"] if said else [])


@pytest.mark.usefixtures("models")
def test_the_card_gets_the_figures_without_the_machine_they_were_made_on(
    run: Any, capsys: Any, tmp_path: Path
) -> None:
    noted: dict[str, Any] = {}
    file = SimpleNamespace(note=noted.__setitem__, card_path=tmp_path / "tiny.json")
    sys.modules["calcilens.models.registry"].find = lambda name: file  # type: ignore[attr-defined]
    words = ("--manifest", str(tmp_path / "m.parquet"), "--model", "tiny", "--onto-card", "bench")
    assert run(*words, "--json") == EXIT_DONE
    out, err = capsys.readouterr()
    assert "card: " in err
    found = json.loads(out)
    assert list(noted) == ["bench"]
    assert noted["bench"]["n"] == found["n"]
    assert noted["bench"]["finding"]["auroc"] == round(found["finding"]["auroc"], 4)
    assert str(tmp_path) in found["command"]
    assert str(tmp_path) not in json.dumps(noted)


@pytest.mark.usefixtures("models")
def test_several_models_stand_in_one_table_and_one_object(run: Any, capsys: Any) -> None:
    two = ("--manifest", "m.parquet", "--model", "first", "--model", "second")
    assert run(*two, "--json", "--out", "both") == EXIT_DONE
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["models"]
    assert [m["model"] for m in found["models"].values()] == ["first", "second"]
    for name in ("first", "second"):
        assert Path(f"both/{name}/evaluation.html").is_file()
    assert run(*two) == EXIT_DONE
    table = capsys.readouterr().out
    assert table.count("Research software") == 1
    assert "first" in table
    assert "second" in table


def test_figures_are_the_same_in_every_run(run: Any, capsys: Any) -> None:
    found = []
    for _ in range(2):
        run(*GIVEN, "--json")
        found.append({**json.loads(capsys.readouterr().out), "seconds": 0})
    assert found[0] == found[1]
    assert found[0]["seed"] == metrics.SEED


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("members_used", "x", "column members_used: expected a whole number"),
        ("members_used", "inf", "column members_used: expected a whole number"),
        ("members_used", "-1", "column members_used: expected a whole number"),
        ("abstained", "perhaps", "column abstained: expected 0 or 1, found perhaps"),
        ("pattern_set", "diffuse|no such", "column pattern_set: expected patterns"),
        ("finding", "1.5", "column finding: expected a probability in 0..1 or an empty cell, "),
    ],
)
def test_a_cell_that_means_nothing_is_named_by_row_and_column(
    column: str, cell: str, said: str, run: Any, capsys: Any
) -> None:
    table = pd.read_csv("p.csv").astype(object)
    table[column] = cell
    table.to_csv("p.csv", index=False)
    assert run(*GIVEN) == EXIT_FAILED
    err = capsys.readouterr().err
    assert f"row_id lesion-0, {said}" in err
    assert "np.float64" not in err
