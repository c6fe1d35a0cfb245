"""OHIF in a real browser, beside an archive: what a radiologist sees there of a report."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from calcilens.phantoms.study import Plan
from calcilens.phantoms.write import write_study
from tests.commands.test_predict import app
from tests.inference.network.orthanc import IN_CI, own_network, running
from tests.viewers.browser import Opened, Pixels, chromium, coloured, opened
from tests.viewers.ohif import fetched, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not IN_CI, reason="CALCILENS_CI is not set: OHIF takes minutes, and is fetched from npm"
    ),
]
FORMATS = {
    "ct": "json,sr-plain,seg,saliency-whole",
    "radiograph": "json,sr-plain,seg,saliency,capture,presentation,key-objects",
}


class Shown(NamedTuple):
    """A study whose images and results the archive holds: its page, and the report."""

    address: str
    report: dict[str, Any]
    browser: Any


@pytest.fixture(scope="module")
def shown(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[dict[str, Shown]]:
    """OHIF beside an archive that holds a simulated CT, radiographs, and their results."""
    assert pytestconfig.cache is not None
    dist = fetched(pytestconfig.cache.mkdir("ohif"))
    folder = tmp_path_factory.mktemp("ohif")
    reports = {kind: reported(folder / kind, kind) for kind in FORMATS}
    with own_network(), running(folder) as orthanc:
        for file in folder.rglob("*.dcm"):
            store(orthanc.url, file)
        with serving(dist, orthanc.url) as url, chromium() as browser:
            yield {
                kind: Shown(f"{url}/viewer?StudyInstanceUIDs={uid(report)}", report, browser)
                for kind, report in reports.items()
            }


def reported(folder: Path, kind: str) -> dict[str, Any]:
    study, out = folder / "study", folder / "out"
    study.mkdir(parents=True)
    write_study(study, Plan(3, kind, "knee", ("diffuse",)))
    assert app("predict", study / "dicom", "--out", out, "--formats", FORMATS[kind]) == 0
    (report,) = out.glob("*/report.json")
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def uid(report: dict[str, Any]) -> str:
    return str(report["study"]["study_uid"])


def store(archive: str, file: Path) -> None:
    request = urllib.request.Request(  # noqa: S310
        f"{archive}/instances", file.read_bytes(), {"Content-Type": "application/dicom"}
    )
    urllib.request.urlopen(request, timeout=60).close()  # noqa: S310


@pytest.fixture
def ct(shown: dict[str, Shown]) -> Iterator[Opened]:
    with opened(shown["ct"].browser, shown["ct"].address) as study:
        yield study


@pytest.fixture
def film(shown: dict[str, Shown]) -> Iterator[Opened]:
    with opened(shown["radiograph"].browser, shown["radiograph"].address) as study:
        yield study


def has_colour(seen: Pixels) -> bool:
    return coloured(seen) > 50


def figures_stand_beside(study: Opened, lesion: dict[str, Any]) -> None:
    said = f"Diameter: {lesion['measurements']['max_diameter_mm']:.2f} mm"
    study.page.wait_for_function(f"document.body.textContent.includes({said!r})")


def test_the_segmentation_lies_on_the_ct(ct: Opened) -> None:
    ct.open("SEG")
    ct.page.get_by_text("Yes", exact=True).click()
    ct.until(has_colour, "ohif-seg")
    assert ct.faults == []


def test_the_sr_shows_its_figures_on_the_ct(ct: Opened, shown: dict[str, Shown]) -> None:
    ct.open("SR")
    (lesion,) = shown["ct"].report["lesions"]
    figures_stand_beside(ct, lesion)
    ct.until(has_colour, "ohif-sr")
    assert ct.faults == []


TRIES = 3


def go_to(study: Opened, place: int) -> None:
    """Go to an image by keys; OHIF counts from the top, and scrolls down with the arrow."""
    study.page.mouse.move(800, 450)
    study.page.keyboard.press("Home")
    for _ in range(place):
        study.page.keyboard.press("ArrowDown")
        study.page.wait_for_timeout(150)
    study.drawn()


def test_the_map_lies_on_its_lesion(ct: Opened, shown: dict[str, Shown]) -> None:
    ct.open("PMAP")
    ct.page.get_by_text("Loading Parametric Map", exact=False).wait_for(state="detached")
    ct.drawn()
    report = shown["ct"].report
    planes = report["series"][0]["shape"][0]
    first, last = report["lesions"][0]["slices"]
    for _ in range(TRIES):  # a map that is late opens on another plane than the one gone to
        go_to(ct, planes - (first + last) // 2)
        if has_colour(ct.seen()):
            break
    ct.until(has_colour, "ohif-map")
    assert ct.faults == []


def test_the_sr_shows_outline_and_figures_on_the_radiograph(
    film: Opened, shown: dict[str, Shown]
) -> None:
    assert coloured(film.seen()) == 0
    film.open("SR")
    likely = max(
        shown["radiograph"].report["lesions"], key=lambda lesion: lesion["finding"]["probability"]
    )
    figures_stand_beside(film, likely)
    film.page.get_by_text("No", exact=True).click()  # it asks whether to go on from these figures
    film.until(has_colour, "ohif-radiograph-sr")
    assert film.faults == []


def test_captures_are_pictures_with_the_lesion_and_the_map(film: Opened) -> None:
    film.open("OT")
    film.until(lambda seen: coloured(seen) > 5000, "ohif-radiograph-capture")
    assert film.faults == []
