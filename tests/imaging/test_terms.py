"""What a file says of its images in words: terms of the standard, and nothing that was typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sr._snomed_dict import mapping
from pydicom.sr.codedict import codes

from calcilens.imaging import terms
from calcilens.imaging.decode import quiet
from calcilens.imaging.images import Radiograph, Volume
from calcilens.imaging.study import Study, read_study
from tests import dicom_factory as factory

NAME = "SECRET^NAME"


def tagged(**tags: Any) -> Dataset:
    """Tags as a file may hold them, allowed or not."""
    with quiet():
        return factory.item(**tags)


@pytest.mark.parametrize(
    ("stated", "term"),
    [
        ("KNEE", "KNEE"),
        ("c_spine", "CSPINE"),
        ("LUMBAR SPINE", "LSPINE"),
        ("LEG", "LEG"),
        ("SMITH", None),
        ("KNEE SMITH", None),
        ("", None),
        (None, None),
    ],
)
def test_a_body_part_is_a_term_of_the_standard_or_not_stated(
    stated: str | None, term: str | None
) -> None:
    assert terms.body_part(tagged(BodyPartExamined=stated)) == term


@given(st.text(max_size=16))
def test_no_text_reaches_a_report_that_is_not_in_a_table(text: str) -> None:
    tags = tagged(BodyPartExamined=text, ViewPosition=text)
    assert terms.body_part(tags) in {None, *terms._BODY_PARTS}
    assert terms.view(tags) in {None, *terms._VIEWS.values()}
    assert terms.side(text) in {None, *"LRB"}


def test_the_codes_of_views_mean_in_the_standard_what_they_are_called() -> None:
    known = {
        code.value: code.meaning for cid in (codes.cid4010, codes.cid4014) for code in _all(cid)
    }
    older = mapping["SRT"]
    short = {"antero-posterior": "AP", "postero-anterior": "PA"}
    for value, name in terms._VIEW_CODES.items():
        meaning = known[older.get(value, value)].lower()
        for long, brief in short.items():
            meaning = meaning.replace(long, brief)
        assert name in (
            meaning,
            meaning.replace("medial-lateral", "medio-lateral"),
            meaning.replace("lateral-medial", "latero-medial"),
        )


def _all(cid: Any) -> list[Any]:
    return [getattr(cid, keyword) for keyword in cid.dir()]


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"ViewPosition": "AP"}, "AP"),
        ({"ViewPosition": "LLO"}, "left lateral oblique"),
        ({"ViewPosition": NAME}, None),
        ({"ViewPosition": "PA", "ViewCodeSequence": [("399348003", "x")]}, "AP"),
        ({"ViewPosition": "PA", "ViewCodeSequence": [("0", NAME)]}, "PA"),
        ({"ViewCodeSequence": [("R-10236", NAME)]}, "left lateral"),
        ({"ViewCodeSequence": []}, None),
        ({}, None),
    ],
)
def test_a_view_is_told_by_its_code_or_else_by_its_term(
    tags: dict[str, Any], said: str | None
) -> None:
    if "ViewCodeSequence" in tags:
        items = [factory.item(CodeValue=v, CodeMeaning=m) for v, m in tags["ViewCodeSequence"]]
        tags = {**tags, "ViewCodeSequence": items}
    assert terms.view(tagged(**tags)) == said


@pytest.mark.parametrize(
    ("value", "known"), [(0, 0), ("41", 41), (99_999, 99_999), (4_711_815, None), (None, None)]
)
def test_a_number_that_no_series_or_image_has_is_not_stated(value: Any, known: int | None) -> None:
    assert terms.number(value) == known


def test_a_film_has_part_side_and_view_from_its_own_tags(tmp_path: Path) -> None:
    view = factory.item(CodeValue="399348003", CodingSchemeDesignator="SCT", CodeMeaning=NAME)
    (film,) = read(tmp_path, Laterality="L", ImageLaterality="R", ViewCodeSequence=[view]).images
    assert isinstance(film, Radiograph)
    assert (film.body_part, film.side, film.view) == ("KNEE", "R", "AP")
    assert film.planes[0].number == 7
    (typed,) = read(tmp_path, Laterality="B", ViewPosition=NAME, BodyPartExamined=NAME).images
    assert isinstance(typed, Radiograph)
    assert (typed.body_part, typed.side, typed.view) == (None, "B", None)


def read(folder: Path, **tags: Any) -> Study:
    with quiet():
        ds = factory.radiograph(factory.ramp((40, 50)), InstanceNumber=7, SeriesNumber=3, **tags)
        factory.save(ds, folder / "film.dcm")
    study = read_study(folder / "film.dcm")
    assert study.series[0].series_number == 3
    return study


def test_films_of_a_series_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for order, number in enumerate((3, None, 1, 2)):
        sop_uid = f"{factory.SERIES_UID}.{order + 1}"
        ds = factory.radiograph(
            factory.ramp((20, 30), 900 + order), InstanceNumber=number, SOPInstanceUID=sop_uid
        )
        factory.save(ds, tmp_path / f"{order}.dcm")
    films = read_study(tmp_path).images
    assert [film.planes[0].number for film in films] == [1, 2, 3, None]


def test_the_planes_of_a_ct_keep_the_numbers_that_viewers_show(tmp_path: Path) -> None:
    slices = factory.ct_slices(factory.ramp((4, 20, 20)), SeriesNumber=4)
    for ds, number in zip(slices, (40, 39, 38, 37), strict=True):
        ds.InstanceNumber = number
    study = read_study(factory.save_all(slices, tmp_path))
    (volume,) = study.images
    assert [plane.number for plane in volume.planes] == [40, 39, 38, 37]
    assert study.series[0].series_number == 4


def test_the_planes_of_an_enhanced_ct_are_numbered_by_frame(tmp_path: Path) -> None:
    ds = factory.enhanced_ct(factory.ramp((5, 20, 20)), InstanceNumber=1)
    (volume,) = read_study(factory.save(ds, tmp_path / "ct.dcm")).images
    assert isinstance(volume, Volume)
    assert [plane.number for plane in volume.planes] == [p.frame + 1 for p in volume.planes]
    assert sorted(p.number or 0 for p in volume.planes) == [1, 2, 3, 4, 5]
