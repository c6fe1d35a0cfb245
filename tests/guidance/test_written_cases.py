"""Written cases come out as the clinical basis says: what leads, what is flagged, what follows."""

from __future__ import annotations

import pytest

from calcilens.guidance.evaluate import Standing, Weighed
from calcilens.guidance.rulebook import rulebook
from tests.guidance.written import WRITTEN, guidance

EVERY = pytest.mark.parametrize("name", WRITTEN)


def weighed(name: str, key: str) -> Weighed:
    lesion = guidance(name)
    return next(w for w in (*lesion.differential, *lesion.others) if w.topic.key == key)


@EVERY
def test_the_expected_disease_leads_and_others_stay_on_the_list(name: str) -> None:
    expected = WRITTEN[name]["expect"]
    listed = [w.topic.key for w in guidance(name).differential]
    assert listed[:1] == expected["lead"][:1]
    assert {*expected["lead"], *expected["listed"]} <= set(listed)


@EVERY
def test_just_the_expected_features_concern(name: str) -> None:
    found = {s.rule.id for s in guidance(name).concern if s.standing is Standing.PRESENT}
    assert found == set(WRITTEN[name]["expect"]["concern"])


@EVERY
def test_the_expected_steps_follow(name: str) -> None:
    steps = {s.rule.id for s in guidance(name).next_steps}
    assert set(WRITTEN[name]["expect"]["steps"]) <= steps


def test_every_disease_is_expected_in_a_written_case() -> None:
    expected = {
        key for w in WRITTEN.values() for key in (*w["expect"]["lead"], *w["expect"]["listed"])
    }
    assert {topic.key for topic in rulebook().conditions} - expected == set()


def test_forty_cases_are_written_beside_the_scenarios() -> None:
    assert len([name for name in WRITTEN if not name.startswith("scenario-")]) >= 40


def test_normal_values_do_not_take_renal_calcinosis_from_the_patient_of_003() -> None:
    mechanisms = [w.topic.key for w in guidance("scenario-003").mechanisms]
    assert mechanisms[0] == "metastatic"


@pytest.mark.parametrize("name", ["scenario-004-first", "scenario-004-later"])
def test_muscle_argues_against_tumoral_calcinosis_in_004_and_it_still_leads(name: str) -> None:
    against = {s.rule.id for s in weighed(name, "tumoral_calcinosis").speaks_against}
    assert "tumoral-calcinosis-muscle" in against
    assert weighed(name, "sarcoidosis").listed
