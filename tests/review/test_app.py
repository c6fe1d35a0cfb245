"""Reading, through a real server: what is told to whom, and what is kept."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from calcilens.review.accounts import Accounts, Role
from calcilens.review.database import opened
from calcilens.review.journal import Journal
from calcilens.review.settings import Settings
from tests.review.day import Day, make_day
from tests.review.served import Browser, served, settings_of, signed_in, take, with_readers

YES = {"calcified": True, "patterns": ["diffuse"], "concern": "low", "confidence": 4}
NO = {"calcified": False, "confidence": 5}
ROLES = {
    "ada": Role.READER,
    "bob": Role.READER,
    "cyd": Role.ADJUDICATOR,
    "root": Role.ADMINISTRATOR,
}


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return make_day(tmp_path_factory.mktemp("day"), 2)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with readers: each takes as long to add as a password to guess."""
    return with_readers(tmp_path_factory.mktemp("database") / "r.sqlite", ROLES)


@pytest.fixture
def engine(tmp_path: Path, database: Path) -> Iterator[Engine]:
    with opened(shutil.copy(database, tmp_path / "r.sqlite")) as found:
        yield found


@pytest.fixture(scope="module")
def settings(day: Day) -> Settings:
    return settings_of(day.reports, day.studies, day.reports.parent / "cache")


@pytest.fixture
def port(engine: Engine, settings: Settings) -> Iterator[int]:
    with served(engine, settings) as found:
        yield found


def lesions(answer: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer.json["study"]["lesions"]
    return found


def read(browser: Browser, uid: str, answer: dict[str, Any]) -> None:
    """Take a study, give the same answer on all lesions, and sign."""
    path = f"/api/studies/{uid}"
    for lesion in lesions(browser.post(f"{path}/take")):
        where = f"{path}/lesions/{lesion['id']}"
        assert browser.post(f"{where}/commit", {"answer": answer, "seconds": 2}).status == 200
        content = {"answer": answer, "based_on": 0, "seconds": 1.5}
        assert browser.post(f"{where}/verdict", content).status == 200
    assert browser.post(f"{path}/sign", {"seconds": {"reading": 9.0}}).status == 200


def test_two_readers_differ_and_an_adjudicator_settles(port: int, day: Day, engine: Engine) -> None:
    uid = day.uids[0]
    path = f"/api/studies/{uid}"
    ada, bob, cyd = (signed_in(port, name) for name in ("ada", "bob", "cyd"))
    read(ada, uid, YES)
    assert ada.get(path).json["study"]["state"] == "waiting"
    read(bob, uid, NO)
    assert bob.get(path).json["study"]["state"] == "disputed"
    taken = cyd.post(f"{path}/take")
    assert taken.json["study"]["mine"] == "settling"
    for lesion in lesions(taken):
        said = {one["reader"]: one["answer"]["calcified"] for one in lesion["others"]}
        assert said == {"ada": True, "bob": False}
        assert lesion["disputed"]
        content = {"answer": YES, "based_on": 0, "seconds": 3}
        assert cyd.post(f"{path}/lesions/{lesion['id']}/settle", content).status == 200
    done = cyd.post(f"{path}/sign", {"seconds": {}})
    assert done.json["study"]["study"]["state"] == "done"
    assert {one["settled"]["reader"] for one in lesions(done)} == {"cyd"}
    assert cyd.get("/api/worklist").json["progress"]["done"] == 1
    assert Journal(engine).check(done.json["hash"]).faults == ()
    figures = ada.get("/api/statistics")
    assert figures.status == 200
    for plot in figures.json["plots"]:
        assert ada.get(f"/statistics/{plot['name']}.svg").body.lstrip().startswith(b"<?xml")
    assert ada.get("/api/exports/verdicts.csv").status == 403
    table = cyd.get("/api/exports/verdicts.csv").body.decode()
    assert {"ada", "bob", "cyd"} <= set(table.replace("\n", ",").split(","))


def test_until_signed_a_reader_learns_nothing_of_the_other(port: int, day: Day) -> None:
    uid = day.uids[0]
    path = f"/api/studies/{uid}"
    ada, bob = signed_in(port, "ada"), signed_in(port, "bob")
    take(ada, day.uids[0])
    added = {"image": 0, "box": [[1, 2, 3], [4, 9, 9]], "answer": YES, "seconds": 1}
    assert ada.post(f"{path}/lesions", added).status == 200
    bob.post(f"{path}/take")
    seen = bob.get(path).json
    assert [one["added_by"] for one in seen["lesions"]] == [None, None]
    assert all(one["others"] == [] and one["mine"] is None for one in seen["lesions"])
    assert {one["kind"] for one in seen["history"]} == {"taken"}
    assert len(ada.get(path).json["lesions"]) == 3


def test_two_tabs_on_one_lesion_the_second_is_told(port: int, day: Day) -> None:
    path = f"/api/studies/{day.uids[0]}"
    first, second = signed_in(port, "ada"), signed_in(port, "ada")
    lesion = lesions(first.post(f"{path}/take"))[0]["id"]
    where = f"{path}/lesions/{lesion}"
    first.post(f"{where}/commit", {"answer": YES, "seconds": 1})
    saved = first.post(f"{where}/verdict", {"answer": YES, "based_on": 0, "seconds": 1})
    late = second.post(f"{where}/verdict", {"answer": NO, "based_on": 0, "seconds": 1})
    assert late.status == 409
    current = late.json["current"]
    assert current["seq"] == saved.json["seq"]
    assert (current["reader"], current["answer"]["calcified"]) == ("ada", True)
    now = {"answer": NO, "based_on": current["seq"], "seconds": 1}
    assert second.post(f"{where}/verdict", now).status == 200


def test_an_added_lesion_can_be_changed_and_withdrawn(port: int, day: Day) -> None:
    path = f"/api/studies/{day.uids[0]}"
    ada = signed_in(port, "ada")
    take(ada, day.uids[0])
    added = ada.post(
        f"{path}/lesions",
        {"image": 0, "box": [[1, 2, 3], [4, 9, 9]], "answer": YES, "seconds": 1},
    ).json
    where = f"{path}/lesions/{added['id']}"
    changed = ada.post(f"{where}/verdict", {"answer": NO, "based_on": added["seq"], "seconds": 1})
    assert changed.status == 200
    assert ada.post(f"{where}/withdraw", {"based_on": added["seq"]}).status == 409
    gone = ada.post(f"{where}/withdraw", {"based_on": changed.json["seq"]})
    assert len(lesions(gone)) == 2


@pytest.mark.parametrize(
    "box",
    [
        [[0, 0, 0], [17, 9, 9]],
        [[-1, 0, 0], [2, 9, 9]],
        [[3, 3, 3], [3, 9, 9]],
        [[0, 0, 0], [1, 10**9, 2]],
        [[0, 0], [1, 1]],
        "box",
    ],
)
def test_a_lesion_cannot_be_added_outside_its_image(port: int, day: Day, box: Any) -> None:
    path = f"/api/studies/{day.uids[0]}"
    ada = signed_in(port, "ada")
    take(ada, day.uids[0])
    answer = ada.post(f"{path}/lesions", {"image": 0, "box": box, "answer": YES, "seconds": 1})
    assert answer.status == 400
    assert len(ada.get(path).json["lesions"]) == 2


def test_an_answer_with_a_box_outside_the_lesions_image_is_refused(port: int, day: Day) -> None:
    path = f"/api/studies/{day.uids[0]}"
    ada = signed_in(port, "ada")
    lesion = take(ada, day.uids[0])["lesions"][0]["id"]
    where = f"{path}/lesions/{lesion}/commit"
    outside = {**YES, "box": [[0, 0, 0], [17, 9, 9]]}
    assert ada.post(where, {"answer": outside, "seconds": 1}).status == 400
    inside = {**YES, "box": [[0, 0, 0], [16, 9, 9]]}
    assert ada.post(where, {"answer": inside, "seconds": 1}).status == 200


@pytest.mark.parametrize(
    "content",
    [
        {"calcified": "yes"},
        {"calcified": True, "patterns": ["nothing"]},
        {"calcified": False, "patterns": ["diffuse"]},
        {"calcified": True, "concern": "unknown"},
        {"calcified": True, "confidence": 9},
        {"calcified": True, "comment": "x" * 3000},
        {"calcified": True, "comment": "\ud800"},
        {"calcified": True, "mask": "f" * 64},
        {"calcified": True, "unknown": 1},
        {},
    ],
)
def test_an_answer_that_is_none_is_refused_in_one_line(
    port: int, day: Day, content: dict[str, Any], engine: Engine
) -> None:
    path = f"/api/studies/{day.uids[0]}"
    ada = signed_in(port, "ada")
    lesion = lesions(ada.post(f"{path}/take"))[0]["id"]
    before = Journal(engine).check().entries
    told = ada.post(f"{path}/lesions/{lesion}/commit", {"answer": content, "seconds": 1})
    assert told.status in (400, 404)
    assert set(told.json) == {"error"}
    assert "\n" not in told.json["error"]
    assert Journal(engine).check().entries == before


def test_a_restart_keeps_sessions_and_answers(day: Day, engine: Engine, settings: Settings) -> None:
    with served(engine, settings) as port:
        ada = signed_in(port, "ada")
        read(ada, day.uids[0], YES)
    with served(engine, settings) as port:
        ada.port = port
        assert ada.get(f"/api/studies/{day.uids[0]}").json["mine"] == "signed"
        assert ada.post("/api/sign-out").status == 200


def test_an_administrator_manages_readers_and_sees_no_study(
    port: int, day: Day, engine: Engine
) -> None:
    root, bob = signed_in(port, "root"), signed_in(port, "bob")
    new = {"name": "eve", "password": "a long enough one", "role": "reader"}
    assert root.post("/api/readers", new).json["name"] == "eve"
    assert root.post("/api/readers", {**new, "name": "x", "password": "short"}).status == 400
    assert root.post("/api/readers/bob", {"active": False}).json["active"] is False
    assert bob.get("/api/worklist").status == 401
    assert root.post("/api/readers/root", {"active": False}).status == 403
    assert root.post("/api/readers/nobody", {"active": False}).status == 404
    assert root.get(f"/api/studies/{day.uids[0]}").status == 403
    assert root.post(f"/api/studies/{day.uids[0]}/take").status == 403
    assert [one.active for one in Accounts(engine).readers() if one.name == "bob"] == [False]


def test_not_blinded_the_models_answer_is_there_at_once(
    day: Day, engine: Engine, settings: Settings
) -> None:
    with served(engine, replace(settings, blinded=False, readers=1)) as port:
        ada = signed_in(port, "ada")
        taken = ada.post(f"/api/studies/{day.uids[0]}/take")
        assert all(one["revealed"] and one["model"] for one in lesions(taken))
        assert "commit" not in taken.json["study"]["can"]
        assert taken.json["study"]["guidance"] is not None


def test_the_next_studies_are_ready_before_somebody_takes_them(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    alone = replace(settings, cache=tmp_path / "cache")
    with served(engine, alone) as port:
        ada, until = signed_in(port, "ada"), time.monotonic() + 120
        while len(list(alone.cache.glob("*/images.json"))) < 2 and time.monotonic() < until:
            assert ada.get("/api/worklist").status == 200
            time.sleep(0.1)
        assert len(list(alone.cache.glob("*/images.json"))) == 2
        uid = ada.get("/api/worklist").json["studies"][0]["study_uid"]
        taken = ada.post(f"/api/studies/{uid}/take")
    assert taken.json["study"]["ready"]["ready"]


def test_a_report_that_cannot_be_used_is_told_and_hides_no_other(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    reports = Path(shutil.copytree(settings.reports, tmp_path / "reports"))
    (reports / "9.9").mkdir()
    (reports / "9.9" / "report.json").write_text('{"schema_version": 1, ')
    with served(engine, replace(settings, reports=reports)) as port:
        found = signed_in(port, "ada").get("/api/worklist").json
    assert [one["folder"] for one in found["broken"]] == ["9.9"]
    assert "expected JSON" in found["broken"][0]["why"]
    assert len(found["studies"]) == found["progress"]["total"] > 0
    assert found["unread"] == 0


def test_an_administrator_is_told_that_no_study_is_open_to_them(port: int, day: Day) -> None:
    uid = sorted(folder.name for folder in day.reports.iterdir() if folder.name[0].isdigit())[0]
    refused = signed_in(port, "root").get(f"/api/studies/{uid}")
    assert refused.status == 403
    assert "administrators see no images" in refused.json["error"]


def test_an_administrator_ends_what_a_reader_holds(port: int, day: Day) -> None:
    uid = sorted(folder.name for folder in day.reports.iterdir() if folder.name[0].isdigit())[0]
    ada, root = signed_in(port, "ada"), signed_in(port, "root")
    assert ada.post(f"/api/studies/{uid}/take").status == 200

    def can(browser: Browser) -> list[str]:
        rows = browser.get("/api/worklist").json["studies"]
        found: list[str] = next(row["can"] for row in rows if row["study_uid"] == uid)
        return found

    assert "end" in can(root)
    assert "end" not in can(signed_in(port, "bob"))
    assert root.post(f"/api/studies/{uid}/release", {"holder": "ada"}).status == 200
    assert "end" not in can(root)
    assert "take" in can(ada)
