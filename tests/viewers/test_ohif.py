"""OHIF in a real browser, beside an archive: what a radiologist sees there of a report."""

from __future__ import annotations

import io
import json
import os
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from calcilens.phantoms.study import Plan
from calcilens.phantoms.write import write_study
from tests.commands.test_predict import app
from tests.inference.network.orthanc import Orthanc, own_network, running, why_not
from tests.viewers.ohif import fetched, serving

CHROMIUM = shutil.which("chromium")
GPU = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
PATIENCE_MS, SETTLE_MS = 240_000, 8_000
PICTURES = os.environ.get("CALCILENS_DOC_IMAGES")
"""Folder for the pictures of the docs, where they are to be made anew."""


def missing() -> str | None:
    """Return why OHIF is not tried here."""
    if "CALCILENS_VIEWERS" not in os.environ:
        return "CALCILENS_VIEWERS is not set: OHIF takes minutes, and is fetched from npm"
    if CHROMIUM is None or shutil.which("npm") is None:
        return "needs chromium and npm"
    return why_not()


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=str(missing()))]


@dataclass(frozen=True)
class Opened:
    """A study in OHIF."""

    page: Any
    faults: list[str]

    def open(self, modality: str) -> None:
        """Open results, as a double click in the list of series does, once the CT is there."""
        self.page.get_by_text("W:", exact=True).first.wait_for()
        self.page.wait_for_timeout(SETTLE_MS)
        self.page.get_by_text(modality, exact=True).first.dblclick()

    def picture(self, name: str) -> NDArray[np.int16]:
        """Return what is seen (Y, X, RGB) when all is drawn; keep it for the docs if asked to."""
        self.page.wait_for_timeout(SETTLE_MS)
        shot = self.page.screenshot()
        if PICTURES:
            (Path(PICTURES) / f"{name}.png").write_bytes(shot)
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), np.int16)


def coloured(seen: NDArray[np.int16]) -> int:
    """Return how many pixels of the image, which is grey, have a colour; text lies elsewhere."""
    image = seen[200:700, 450:1250]
    return int((np.ptp(image, axis=2) > 60).sum())


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Orthanc, dict[str, Any]]]:
    """An archive that holds a simulated CT and the objects of its report; and the report."""
    folder = tmp_path_factory.mktemp("ohif")
    study, out = folder / "study", folder / "out"
    study.mkdir()
    write_study(study, Plan(3, "ct", "knee", ("diffuse",)))
    formats = "json,sr-plain,seg,saliency-whole"
    assert app("predict", study / "dicom", "--out", out, "--formats", formats) == 0
    (report,) = out.glob("*/report.json")
    with own_network(), running(folder) as orthanc:
        for file in [*study.rglob("*.dcm"), *out.rglob("*.dcm")]:
            request = urllib.request.Request(  # noqa: S310
                f"{orthanc.url}/instances", file.read_bytes(), {"Content-Type": "application/dicom"}
            )
            urllib.request.urlopen(request, timeout=60).close()  # noqa: S310
        yield orthanc, json.loads(report.read_text())


@pytest.fixture
def ohif(archive: tuple[Orthanc, dict[str, Any]], pytestconfig: pytest.Config) -> Iterator[Opened]:
    from playwright.sync_api import sync_playwright

    orthanc, report = archive
    assert pytestconfig.cache is not None
    dist = fetched(pytestconfig.cache.mkdir("ohif"))
    with serving(dist, orthanc.url) as url, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *GPU])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        faults: list[str] = []
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        address = f"{url}/viewer?StudyInstanceUIDs={report['study']['study_uid']}"
        page.goto(address, wait_until="commit", timeout=PATIENCE_MS)
        page.get_by_text("Skip all").click()
        yield Opened(page, faults)
        browser.close()


def test_the_segmentation_lies_on_the_ct(ohif: Opened) -> None:
    ohif.open("SEG")
    ohif.page.get_by_text("Yes", exact=True).click()
    assert coloured(ohif.picture("ohif-seg")) > 50
    assert ohif.faults == []


def test_the_sr_shows_its_figures_on_the_image(
    ohif: Opened, archive: tuple[Orthanc, dict[str, Any]]
) -> None:
    ohif.open("SR")
    (lesion,) = archive[1]["lesions"]
    diameter = lesion["measurements"]["max_diameter_mm"]
    said = f"Diameter: {diameter:.2f} mm"
    ohif.page.wait_for_function(f"document.body.textContent.includes({said!r})")
    ohif.picture("ohif-sr")
    assert ohif.faults == []


def test_the_map_lies_on_its_lesion(ohif: Opened, archive: tuple[Orthanc, dict[str, Any]]) -> None:
    ohif.open("PMAP")
    ohif.page.get_by_text("Loading Parametric Map", exact=False).wait_for(state="detached")
    planes = archive[1]["series"][0]["shape"][0]
    first, last = archive[1]["lesions"][0]["slices"]
    ohif.page.wait_for_timeout(SETTLE_MS)
    ohif.page.mouse.move(800, 450)
    # OHIF opens the middle plane, counts from the top, and scrolls down with the arrow.
    steps = planes - (first + last) // 2 - planes // 2
    for _ in range(abs(steps)):
        ohif.page.keyboard.press("ArrowDown" if steps > 0 else "ArrowUp")
        ohif.page.wait_for_timeout(150)
    seen = ohif.picture("ohif-map")
    assert coloured(seen) > 50
    assert ohif.faults == []
