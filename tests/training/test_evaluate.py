"""Evaluation of a manifest: which rows count, in which groups, and what the page says."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from calcilens.data_manifests.schema import Manifest, truth
from calcilens.errors import InputError, ManifestError, UsageError
from calcilens.training import evaluate as ev
from calcilens.training.evaluate_page import (
    About,
    scores_json,
    warnings_about,
    write_evaluation,
)
from calcilens.training.groups import group_names
from calcilens.training.left_out import SEEN
from calcilens.training.predictions import join, read_predictions, sums_warning
from tests.training.evaluation_cases import guesses, labelled

FEW = 40
"""Resamples: the intervals themselves are tested in test_metrics.py."""
ABOUT = About(
    model="<script>alert(1)</script>",
    model_version="1",
    model_sha256="ab" * 32,
    manifest="m.parquet",
    manifest_sha256="cd" * 32,
    split="all",
    command="calcilens evaluate --manifest m.parquet",
    calcilens="0",
    disclaimer="Research software.",
    ece_binning="15 bins",
    resamples=FEW,
    seed=1,
    min_patients=5,
    seconds=1.5,
)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return labelled(tmp_path)


@pytest.fixture
def frame(manifest: Manifest) -> pd.DataFrame:
    return join(truth(manifest.frame), guesses(manifest), "guesses")


def scored(frame: pd.DataFrame, **options: Any) -> ev.Scores:
    return ev.score(frame, resamples=FEW, **options)


def test_scores_hold_the_contract(frame: pd.DataFrame) -> None:
    found = json.loads(json.dumps(scores_json(scored(frame), ABOUT), allow_nan=False))
    contract = {"n", "model", "finding", "pattern", "concern", "abstained", "by_group", "seconds"}
    assert contract <= found.keys()
    for head in ("finding", "concern"):
        assert {"auroc", "auroc_ci95", "auprc", "ece", "n", "n_positive"} <= found[head].keys()
        assert found[head]["auroc_ci95"][0] < found[head]["auroc"] < found[head]["auroc_ci95"][1]
    pattern_keys = {"macro_auroc", "accuracy", "ece", "coverage", "mean_set_size"}
    assert pattern_keys <= found["pattern"].keys()
    assert found["pattern"]["coverage"] is None
    assert found["abstained"] == 12
    always = {"readers", "size", "contrast", "split", "source"}
    assert found["by_group"].keys() == always | {"pattern"}


def test_every_row_is_in_a_block_or_counted_with_its_reason(frame: pd.DataFrame) -> None:
    found = scored(frame)
    for head in ("finding", "pattern", "concern"):
        block = getattr(found, head)
        assert block.n + sum(found.left_out[head].values()) == len(frame) == found.n


def test_reasons_say_why_a_row_is_left_out(frame: pd.DataFrame) -> None:
    few = sum(len(votes) < 3 for votes in frame["concern_votes"])
    frame["concern_votes"] = [[3, 3, 3, 3], *frame["concern_votes"].iloc[1:]]
    frame.at[0, "concern_truth"] = np.nan
    frame.at[1, "finding"] = np.nan
    found = scored(frame)
    assert found.left_out["finding"] == {"no prediction": 1}
    assert found.left_out["concern"]["median of the readers is 3"] == 1
    assert few - 1 <= found.left_out["concern"]["fewer than 3 readers"] <= few
    assert found.left_out["pattern"].keys() == {"not calcified"}


def test_rows_seen_by_every_member_are_left_out_unless_kept(frame: pd.DataFrame) -> None:
    seen = frame["patient_key"] < f"{20:016x}"
    frame["members_used"] = np.where(seen, 0, 5)
    frame.loc[seen, "finding"] = frame.loc[seen, "finding_truth"]
    without, kept = scored(frame), scored(frame, include_seen=True)
    assert (without.n, without.n_seen_in_training, kept.n) == (80, 40, 120)
    assert (without.members_used, kept.members_used) == ({"5": 80}, {"5": 80, "0": 40})
    assert without.finding == scored(frame[~seen].drop(columns="members_used")).finding
    assert without.left_out["finding"] == {SEEN: 40}
    assert kept.finding is not None
    assert without.finding is not None
    assert (kept.finding.auroc or 0) > (without.finding.auroc or 1)
    assert "they are left out" in warnings_about(without)[0]
    assert "too good" in warnings_about(kept)[0]


def test_where_membership_is_unknown_nothing_is_claimed(frame: pd.DataFrame) -> None:
    found = scored(frame)
    assert found.n_seen_in_training is None
    assert warnings_about(found) == []


def test_a_flag_without_a_reason_holds_for_every_head(frame: pd.DataFrame) -> None:
    found = scored(frame)
    assert found.abstained == 12
    for head, reasons in found.abstained_by.items():
        kept = found.selective[head]
        assert kept is not None
        of_its_figures = getattr(found, head).n
        assert 0 < sum(reasons.values()) <= 12
        assert sum(reasons.values()) == pytest.approx((1 - kept.kept) * of_its_figures)


def test_abstentions_are_counted_by_head_and_reason(manifest: Manifest) -> None:
    given = guesses(manifest).drop(columns="abstained")
    given["abstained_finding"] = ["undecided"] * 5 + [""] * 115
    given["abstained_pattern"] = (
        ["not calcified"] * 3 + ["too many patterns fit"] * 4 + [None] * 113
    )
    found = scored(join(truth(manifest.frame), given, "guesses"))
    calcified = truth(manifest.frame)["pattern_truth"].notna().to_numpy()
    of_calcified = {
        "not calcified": int(calcified[:3].sum()),
        "too many patterns fit": int(calcified[3:7].sum()),
    }
    assert 0 < sum(of_calcified.values()) < 7, "lesions without mineral need no pattern"
    assert found.abstained_by == {
        "finding": {"undecided": 5},
        "pattern": {why: n for why, n in of_calcified.items() if n},
        "concern": {},
    }
    assert found.abstained == 5


def test_selective_figures_are_those_of_the_answered_rows_alone(frame: pd.DataFrame) -> None:
    found = scored(frame)
    kept = scored(frame[~frame["abstained"]])
    for head in ("finding", "concern"):
        part = found.selective[head]
        assert part is not None
        assert part.figures == getattr(kept, head)
        assert part.kept == pytest.approx(getattr(kept, head).n / getattr(found, head).n)
    pattern = found.selective["pattern"]
    assert pattern is not None
    assert pattern.figures is not None
    assert kept.pattern is not None
    assert pattern.figures.n == kept.pattern.n
    assert found.finding == scored(frame.assign(abstained_finding="")).finding


def test_a_head_that_never_answers_keeps_nothing(frame: pd.DataFrame) -> None:
    part = scored(frame.assign(abstained_finding="undecided")).selective["finding"]
    assert part is not None
    assert (part.kept, part.figures) == (0, None)


def test_groups_split_the_rows(frame: pd.DataFrame) -> None:
    frame.loc[3, "diameter_mm"] = np.nan
    groups = scored(frame).by_group
    for parts in groups.values():
        assert sum(part.n for part in parts.values()) == len(frame)
    assert list(groups["size"]) == ["<6 mm", "6-10 mm", "10-20 mm", ">=20 mm", "unknown"]
    assert groups["contrast"].keys() == {"yes", "no", "unknown"}
    small = frame[frame["diameter_mm"] < 6]
    assert groups["size"]["<6 mm"].n == len(small)


def test_a_diameter_on_an_edge_belongs_to_the_larger_group() -> None:
    names = group_names(pd.DataFrame({"diameter_mm": [5.99, 6.0, 10.0, 20.0]}))["size"]
    assert list(names) == ["<6 mm", "6-10 mm", "10-20 mm", ">=20 mm"]


def test_properties_of_the_image_are_groups_where_the_manifest_has_them() -> None:
    rows = {
        "kvp": [80.0, np.nan, 120.0],
        "kernel": ["soft", "sharp", "sharp"],
        "site": [None, None, None],
        "spacing_z_mm": [0.6, 1.0, 5.0],
        "pattern_truth": [("diffuse",), ("central", "popcorn"), None],
        "finding_truth": [1.0, 1.0, 0.0],
    }
    found = {name: list(names) for name, names in group_names(pd.DataFrame(rows)).items()}
    assert found == {
        "kvp": ["80 kV", "unknown", "120 kV"],
        "kernel": ["soft", "sharp", "sharp"],
        "slice thickness": ["<1 mm", "1-2 mm", ">=4 mm"],
        "pattern": ["diffuse", "several", "not calcified"],
    }


def test_groups_come_in_the_order_of_their_numbers(frame: pd.DataFrame) -> None:
    frame["kvp"] = np.resize([120.0, 80.0, np.nan, 100.0], len(frame))
    assert list(scored(frame).by_group["kvp"]) == ["80 kV", "100 kV", "120 kV", "unknown"]


def test_patterns_are_judged_in_every_group(frame: pd.DataFrame) -> None:
    whole = scored(frame)
    test = whole.by_group["split"]["test"].pattern
    alone = scored(frame[frame["split"] == "test"]).pattern
    assert test is not None
    assert alone is not None
    assert (test.n, test.macro_auroc, test.accuracy) == (alone.n, alone.macro_auroc, alone.accuracy)


def test_a_group_with_too_few_patients_of_a_class_has_no_area_but_a_reason(
    frame: pd.DataFrame,
) -> None:
    frame["source"] = ["rare"] * 3 + ["common"] * (len(frame) - 3)
    rare = scored(frame).by_group["source"]["rare"].finding
    assert rare is not None
    assert (rare.auroc, rare.n) == (None, 3)
    assert rare.why_null is not None
    assert "at least 5 needed" in rare.why_null


def test_a_group_is_judged_as_its_rows_alone(frame: pd.DataFrame) -> None:
    whole = scored(frame).by_group["split"]["test"].finding
    alone = scored(frame[frame["split"] == "test"]).finding
    assert whole is not None
    assert alone is not None
    assert (whole.auroc, whole.auroc_ci95) == (alone.auroc, alone.auroc_ci95)


def test_a_head_without_labels_is_null(frame: pd.DataFrame) -> None:
    frame["concern_truth"] = np.nan
    frame["concern_votes"] = None
    found = scored(frame)
    assert found.concern is None
    assert found.left_out["concern"] == {"no label": len(frame)}
    assert found.finding is not None


def test_no_label_at_all_is_an_error(frame: pd.DataFrame) -> None:
    frame[["finding_truth", "concern_truth"]] = np.nan
    frame["pattern_truth"] = None
    with pytest.raises(InputError, match="expected a row with label and prediction"):
        scored(frame)


def test_splits_select_their_rows(manifest: Manifest) -> None:
    sizes = [len(ev.select_rows(manifest, split)) for split in ("all", "train", "val", "test")]
    assert sizes == [120, 40, 40, 40]


def test_an_unknown_split_is_wrong_use(manifest: Manifest) -> None:
    with pytest.raises(UsageError, match="--split: expected all, train, val, test, unused, found"):
        ev.select_rows(manifest, "holdout")


def test_an_empty_split_says_which_are_there(manifest: Manifest) -> None:
    with pytest.raises(ManifestError, match="splits there: test, train, val"):
        ev.select_rows(manifest, "unused")
    manifest.frame["split"] = None
    with pytest.raises(ManifestError, match="calcilens manifest split"):
        ev.select_rows(manifest, "test")


def test_a_model_is_run_in_parts_and_its_answers_stay_with_their_rows(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def predict_manifest(_: Manifest, model: Any, rows: pd.DataFrame) -> pd.DataFrame:
        sizes.append(len(rows))
        found: pd.DataFrame = model.answers.loc[rows.index].drop(columns="row_id")
        return found.reset_index(drop=True)

    module = ModuleType("calcilens.training.predict_rows")
    module.predict_manifest = predict_manifest  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(ev, "_CHUNK", 50)
    answers = guesses(manifest)
    direct = ev.score(join(truth(manifest.frame), answers, "guesses"))
    model: Any = SimpleNamespace(card={"modality": "CT"}, answers=answers)
    assert ev.evaluate(manifest, model) == direct
    assert sizes == [50, 50, 20]


def test_predictions_survive_the_way_through_a_file(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame["members_used"] = np.where(np.arange(len(frame)) < 6, 0, 2)
    frame["pattern_set"] = [["diffuse", "central"]] * (len(frame) - 1) + [[]]
    first = scored(frame)
    write_evaluation(tmp_path / "out", frame, first, ABOUT)
    again = read_predictions(tmp_path / "out" / "predictions.csv")
    assert scored(join(frame[_TRUTH], again, "file")) == first


_TRUTH = [
    *("row_id", "patient_key", "finding_truth", "pattern_truth", "concern_truth"),
    *("concern_votes", "pattern_votes", "readers", "diameter_mm", "contrast", "split", "source"),
]


def test_the_page_is_whole_offline_and_escaped(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame["members_used"] = np.where(np.arange(len(frame)) < 6, 0, 2)
    scores = scored(frame)
    page = write_evaluation(tmp_path / "out", frame, scores, ABOUT).read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("data:image/svg+xml;base64,") == 5
    for said in ("6 of 120 rows were trained on", ABOUT.command, "fewer than 3 readers"):
        assert said in page
    assert scores.finding is not None
    assert f"{scores.finding.auroc:.3f}" in page
    saved = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert saved["finding"]["auroc"] == scores.finding.auroc
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    plots = {"roc", "precision_recall", "reliability", "confusion", "groups"}
    pictures = {f"{plot}.{suffix}" for plot in plots for suffix in ("png", "svg")}
    assert names == {"evaluation.html", "scores.json", "predictions.csv", *pictures}


def test_same_input_gives_the_same_files(frame: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_evaluation(tmp_path / name, frame, scored(frame), ABOUT)
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_a_page_can_be_made_where_little_is_known(frame: pd.DataFrame, tmp_path: Path) -> None:
    bare = frame[frame["finding_truth"] == 0].head(4).assign(concern_truth=np.nan)
    about = replace(ABOUT, model_version=None, model_sha256=None)
    scores = scored(bare)
    page = write_evaluation(tmp_path, bare, scores, about).read_text()
    assert "all 4 rows are negative" in page
    assert (scores.concern, scores.pattern) == (None, None)


def csv(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a CSV of predictions"),
        ("finding\n0.5\n", "expected the column row_id and any of finding"),
        ("row_id,note\na,b\n", "expected the column row_id and any of finding"),
        ("row_id,pattern_blob\na,0.5\n", "expected pattern columns of the vocabulary"),
        ("row_id,finding\na,0.5\na,0.6\n", "found a twice"),
        ("row_id,finding\na,0.5\nb,1.5\n", r"row_id b, column finding: .* in 0\.\.1"),
        ("row_id,concern\na,high\n", "row_id a, column concern: .*found high"),
        (
            "row_id,finding\na,0.5,\nb,0.6,\n",
            r"p\.csv, line 2: expected 2 cells.*3; does it end in",
        ),
        ("row_id,finding\na,0.5\nb\n", r"p\.csv, line 3: expected 2 cells, as in the heading, fou"),
        ("row_id;finding\na;0,5\nb;0,5;1\n", r"p\.csv, line 3: expected 2 cells, .* found 3$"),
        ("row_id,finding,concern\na,,\n", "expected predictions, found only empty cells; fill in"),
        (
            "row_id,finding,out_of_domain\na,1,0.5\nb,1,banana\n",
            "row_id b, column out_of_domain: expected a number or an empty cell, found banana",
        ),
    ],
)
def test_a_faulty_csv_is_refused_with_what_is_wrong(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_predictions(csv(tmp_path / "p.csv", text))


def test_another_encoding_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("row_id,finding\na,0.5\n", encoding="utf-16")
    with pytest.raises(
        InputError, match=r"^p\.csv: expected text in UTF-8, found another"
    ) as raised:
        read_predictions(tmp_path / "p.csv")
    assert str(raised.value).endswith("save it as CSV in UTF-8")
    assert "codec" not in str(raised.value)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["0.5,0.5", "0.33,0.65", "0.04,1", ","], None),
        (
            ["0.9,0.8", "0.5,0.5", "0.4,0.3", ","],
            "2 of 4 rows do not sum to 1 (mean 1.20; the first, r0, 1.70)",
        ),
    ],
)
def test_patterns_that_do_not_sum_to_one_are_named(
    tmp_path: Path, cells: list[str], said: str | None
) -> None:
    lines = [f"r{i},1,{pair}" for i, pair in enumerate(cells)]
    text = "\n".join(["row_id,finding,pattern_diffuse,pattern_central", *lines])
    found = sums_warning(read_predictions(csv(tmp_path / "p.csv", text)))
    assert (found is None) if said is None else (said in str(found))


def test_rows_without_a_prediction_are_counted_and_the_first_is_named(
    manifest: Manifest,
) -> None:
    some = guesses(manifest).iloc[5:]
    with pytest.raises(InputError, match="found none for 5 of 120, the first lesion-0"):
        join(truth(manifest.frame), some, "p.csv")


def test_predictions_of_other_rows_and_their_order_do_not_matter(manifest: Manifest) -> None:
    rows, given = truth(manifest.frame), guesses(manifest)
    expected = scored(join(rows.iloc[:60], given, "p.csv"))
    assert scored(join(rows.iloc[:60], given.iloc[::-1], "p.csv")) == expected


def test_a_spreadsheet_with_semicolons_and_decimal_commas_is_read(tmp_path: Path) -> None:
    text = "\ufeffrow_id;finding;pattern_set\na;0,25;diffuse|central\nb;1;\n"
    found = read_predictions(csv(tmp_path / "p.csv", text))
    assert found["finding"].tolist() == [0.25, 1]
    assert found["pattern_set"].tolist() == [["diffuse", "central"], []]


def test_decimal_points_between_semicolons_are_read_too(tmp_path: Path) -> None:
    found = read_predictions(csv(tmp_path / "p.csv", "row_id;finding;concern\na;0.25;0.5\n"))
    assert found[["finding", "concern"]].to_numpy().tolist() == [[0.25, 0.5]]


def test_a_numeric_row_id_stays_text(tmp_path: Path) -> None:
    found = read_predictions(csv(tmp_path / "p.csv", "row_id,finding\n007,0.5\n"))
    assert list(found["row_id"]) == ["007"]
