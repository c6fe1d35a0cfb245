"""The key object selection names the planes that show the lesions."""

from __future__ import annotations

from dataclasses import replace

from highdicom import ko

from calcilens.imaging.images import Plane
from calcilens.inference.export.objects import make
from tests.inference import structured
from tests.inference.made import ct, film
from tests.inference.reports import reported
from tests.inference.structured import named, read, sourced, strict, written
from tests.inference.test_sr import full


def test_it_names_the_key_plane_of_each_lesion_in_the_order_of_the_report() -> None:
    report = full()
    document = ko.KeyObjectSelectionDocument.from_dataset(read(written(report, "key-objects")))
    named_planes = [
        x.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for x in document.content.get_references()
    ]
    assert named_planes == [x.image.planes[x.key_plane].sop_uid for x in report.lesions]
    series = [document.resolve_reference(uid)[1] for uid in named_planes]
    assert series == [x.image.series_uid for x in report.lesions]


def test_a_plane_of_two_lesions_is_named_once() -> None:
    report = reported(ct())
    twice = sourced(replace(report, lesions=report.lesions * 2))
    assert len(named(read(written(twice, "key-objects")), "260753009")) == 1


def test_a_frame_of_a_file_is_named_as_one() -> None:
    report = reported(ct())
    image = replace(ct(), planes=tuple(Plane("1.2.3", frame) for frame in range(12)))
    lesions = tuple(replace(x, image=image) for x in report.lesions)
    study = replace(report.study, images=(image,))
    moved = sourced(replace(report, study=study, lesions=lesions), NumberOfFrames=12)
    (place,) = named(read(written(moved, "key-objects")), "260753009")
    assert place.ReferencedSOPSequence[0].ReferencedFrameNumber == lesions[0].key_plane + 1


def test_its_title_and_text_say_what_it_is() -> None:
    document = strict(written(full(), "key-objects"))
    assert document.ConceptNameCodeSequence[0].CodeMeaning == "Of Interest"
    (text,) = named(document, "113012")
    assert "Not for diagnosis" in text.TextValue
    assert all(lesion.id in text.TextValue for lesion in full().lesions)
    assert str(document.PatientName) == structured.NAME


def test_without_a_lesion_there_is_none() -> None:
    report = replace(sourced(reported(film())), lesions=())
    assert make(report, ["key-objects"]).files == ()


def test_the_same_report_gives_the_same_bytes() -> None:
    first, second = written(full(), "key-objects"), written(full(), "key-objects")
    assert first == second
