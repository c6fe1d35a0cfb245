"""Who may enter what, and what it amounts to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from calcilens.errors import Conflict, NotAllowed, NotThere, ReviewError
from calcilens.review.accounts import Reader, Role
from calcilens.review.answers import Answer
from calcilens.review.attachments import Attachments
from calcilens.review.database import opened
from calcilens.review.journal import Journal
from calcilens.review.reading import Place, Reading
from calcilens.review.state import Phase, StudyState, fold
from tests.review.made import (
    ANN,
    BEN,
    CAT,
    DORA,
    EVE,
    NO,
    STUDY,
    YES,
    FakeReport,
    FakeReports,
)

LESIONS = FakeReport().lesion_ids
FAY = Reader("fay", Role.ADJUDICATOR)
SHAPE = (10, 20, 30)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with opened(tmp_path / "reviews.sqlite") as found:
        yield found


def desk(engine: Engine, **how: Any) -> Reading:
    return Reading(engine, FakeReports(), **{"readers": 2, "blinded": True, **how})


def place(start: int = 0, image: int = 0) -> Place:
    return Place(image, "1.2.9", SHAPE, ((start, 0, 0), (start + 2, 5, 5)))


def read(desk: Reading, reader: Reader, *answers: Answer) -> None:
    """Read the study from taking to signing, one answer a lesion."""
    desk.take(reader, STUDY)
    for lesion, answer in zip(LESIONS, answers, strict=True):
        if desk.blinded:
            desk.commit(reader, STUDY, lesion, answer, 1)
        desk.verdict(reader, STUDY, lesion, answer, based_on=0, seconds=1)
    desk.sign(reader, STUDY, {"reading": 3})


def phase(desk: Reading) -> Phase:
    return desk.rules.phase(desk.state(STUDY))


def test_two_who_say_the_same_are_done(engine: Engine) -> None:
    reading = desk(engine)
    assert phase(reading) is Phase.NEW
    reading.take(ANN, STUDY)
    assert phase(reading) is Phase.READING
    reading.release(ANN, STUDY)
    assert phase(reading) is Phase.NEW
    read(reading, ANN, YES, NO)
    assert phase(reading) is Phase.WAITING
    read(reading, BEN, YES, NO)
    assert phase(reading) is Phase.DONE
    state = reading.state(STUDY)
    finals = [state.final(group) for group in state.groups(LESIONS)]
    assert [said.answer for said in finals if said] == [YES, NO]


def test_one_reader_is_enough_where_one_is_wanted(engine: Engine) -> None:
    reading = desk(engine, readers=1)
    read(reading, ANN, YES, NO)
    assert phase(reading) is Phase.DONE
    with pytest.raises(NotAllowed, match="all the readers"):
        reading.take(BEN, STUDY)


def test_a_dispute_is_settled_by_an_adjudicator(engine: Engine) -> None:
    reading = desk(engine)
    read(reading, ANN, YES, NO)
    read(reading, BEN, NO, NO)
    assert phase(reading) is Phase.DISPUTED
    assert reading.rules.unsettled(reading.state(STUDY)) == ("L1",)
    with pytest.raises(NotAllowed, match="all the readers"):
        reading.take(CAT, STUDY)
    reading.take(DORA, STUDY)
    with pytest.raises(NotAllowed, match="1 disputed lesions"):
        reading.sign(DORA, STUDY, {})
    with pytest.raises(NotThere, match="a disputed lesion"):
        reading.settle(DORA, STUDY, "L2", YES, based_on=0, seconds=1)
    reading.settle(DORA, STUDY, "L1", YES, based_on=0, seconds=1)
    assert phase(reading) is Phase.DISPUTED
    reading.sign(DORA, STUDY, {})
    assert phase(reading) is Phase.DONE
    state = reading.state(STUDY)
    finals = [state.final(group) for group in state.groups(LESIONS)]
    assert [(said.reader, said.answer) for said in finals if said] == [("dora", YES), ("ann", NO)]


def test_who_has_read_cannot_settle(engine: Engine) -> None:
    reading = desk(engine)
    read(reading, DORA, YES, NO)
    read(reading, BEN, NO, NO)
    with pytest.raises(NotAllowed, match="who has read a study"):
        reading.take(DORA, STUDY)


def test_the_models_answer_is_shown_after_the_readers_own(engine: Engine) -> None:
    reading = desk(engine)
    reading.take(ANN, STUDY)
    assert not reading.rules.revealed("ann", "L1", reading.state(STUDY))
    with pytest.raises(NotAllowed, match="commit your answer first"):
        reading.verdict(ANN, STUDY, "L1", YES, based_on=0, seconds=1)
    entry = reading.commit(ANN, STUDY, "L1", YES, 1)
    assert reading.rules.revealed("ann", "L1", reading.state(STUDY))
    assert not reading.rules.revealed("ann", "L2", reading.state(STUDY))
    with pytest.raises(Conflict, match="committed already") as refused:
        reading.commit(ANN, STUDY, "L1", NO, 1)
    assert refused.value.current == {"seq": entry.seq, "reader": "ann", "answer": YES.as_json()}


def test_nothing_is_committed_where_reading_is_not_blinded(engine: Engine) -> None:
    reading = desk(engine, blinded=False)
    reading.take(ANN, STUDY)
    assert reading.rules.revealed("ann", "L1", reading.state(STUDY))
    with pytest.raises(NotAllowed, match="not read blinded"):
        reading.commit(ANN, STUDY, "L1", YES, 1)


def test_the_second_of_two_tabs_is_told(engine: Engine) -> None:
    reading = desk(engine, blinded=False)
    reading.take(ANN, STUDY)
    first = reading.verdict(ANN, STUDY, "L1", YES, based_on=0, seconds=1)
    with pytest.raises(Conflict, match="another answer was saved") as refused:
        reading.verdict(ANN, STUDY, "L1", NO, based_on=0, seconds=1)
    assert refused.value.current["seq"] == first.seq
    reading.verdict(ANN, STUDY, "L1", NO, based_on=first.seq, seconds=1)
    assert reading.state(STUDY).verdicts["ann", "L1"].answer == NO


def test_lesions_that_both_added_at_one_place_are_one(engine: Engine) -> None:
    reading = desk(engine, blinded=False)
    for reader, start in ((ANN, 0), (BEN, 1)):
        reading.take(reader, STUDY)
        reading.add(reader, STUDY, place(start), YES, 1)
        for lesion in LESIONS:
            reading.verdict(reader, STUDY, lesion, NO, based_on=0, seconds=1)
        reading.sign(reader, STUDY, {})
    assert phase(reading) is Phase.DONE
    assert len(reading.state(STUDY).groups(LESIONS)) == 3


@pytest.mark.parametrize("other", [None, place(5), place(0, image=1)])
def test_a_lesion_that_one_alone_added_is_disputed(engine: Engine, other: Place | None) -> None:
    reading = desk(engine, blinded=False)
    for reader, where in ((ANN, place(0)), (BEN, other)):
        reading.take(reader, STUDY)
        if where:
            reading.add(reader, STUDY, where, YES, 1)
        for lesion in LESIONS:
            reading.verdict(reader, STUDY, lesion, NO, based_on=0, seconds=1)
        reading.sign(reader, STUDY, {})
    assert len(reading.rules.unsettled(reading.state(STUDY))) == (1 if other is None else 2)


def test_a_withdrawn_lesion_is_gone_and_can_be_withdrawn_by_its_reader_alone(
    engine: Engine,
) -> None:
    reading = desk(engine, blinded=False)
    reading.take(ANN, STUDY)
    reading.take(BEN, STUDY)
    entry = reading.add(ANN, STUDY, place(), YES, 1)
    lesion = str(entry.lesion)
    with pytest.raises(NotThere, match="a lesion that you added"):
        reading.withdraw(BEN, STUDY, lesion, entry.seq)
    with pytest.raises(NotThere, match="a lesion of the report"):
        reading.verdict(BEN, STUDY, lesion, YES, based_on=0, seconds=1)
    reading.withdraw(ANN, STUDY, lesion, entry.seq)
    assert reading.state(STUDY).added == {}
    assert reading.state(STUDY).verdicts == {}


def test_a_lesion_that_is_sent_twice_is_added_once(engine: Engine) -> None:
    reading = desk(engine, blinded=False)
    reading.take(ANN, STUDY)
    entry = reading.add(ANN, STUDY, place(), YES, 1)
    with pytest.raises(Conflict, match="you added this lesion already") as refused:
        reading.add(ANN, STUDY, place(), YES, 1)
    assert refused.value.current["seq"] == entry.seq


def test_a_study_is_signed_when_every_lesion_has_a_verdict(engine: Engine) -> None:
    reading = desk(engine, blinded=False)
    reading.take(ANN, STUDY)
    reading.verdict(ANN, STUDY, "L1", YES, based_on=0, seconds=1)
    with pytest.raises(NotAllowed, match="1 lesions have no verdict"):
        reading.sign(ANN, STUDY, {})


def test_a_signature_is_taken_back_by_its_reader_until_all_have_signed(engine: Engine) -> None:
    reading = desk(engine)
    read(reading, ANN, YES, NO)
    reading.reopen(ANN, STUDY, "overlooked the calf")
    assert reading.state(STUDY).holders == ["ann"]
    reading.sign(ANN, STUDY, {})
    read(reading, BEN, YES, NO)
    with pytest.raises(NotAllowed, match="only your own signature"):
        reading.reopen(ANN, STUDY, "again")
    reading.reopen(DORA, STUDY, "both overlooked the calf")
    assert reading.state(STUDY).holders == ["ann", "ben"]
    assert phase(reading) is Phase.READING
    with pytest.raises(ReviewError, match="a reason of at most"):
        reading.reopen(DORA, STUDY, " ")


def test_who_has_answered_never_judges_a_study_and_who_has_judged_never_reads_it(
    engine: Engine,
) -> None:
    reading = desk(engine)
    reading.take(DORA, STUDY)
    reading.commit(DORA, STUDY, "L1", YES, 1)
    reading.release(DORA, STUDY)
    read(reading, ANN, YES, NO)
    read(reading, BEN, NO, NO)
    with pytest.raises(NotAllowed, match="who has read a study"):
        reading.take(DORA, STUDY)
    with pytest.raises(NotAllowed, match="only your own signature"):
        reading.reopen(DORA, STUDY, "to agree with ann")
    reading.take(FAY, STUDY)
    reading.reopen(FAY, STUDY, "once more")
    reading.release(FAY, STUDY, "ben")
    with pytest.raises(NotAllowed, match="settled or reopened"):
        reading.take(FAY, STUDY)


def test_a_reader_who_adjudicates_elsewhere_cannot_change_an_answer_after_seeing_the_others(
    engine: Engine,
) -> None:
    reading = desk(engine)
    read(reading, DORA, YES, NO)
    reading.reopen(DORA, STUDY, "nobody else has signed")
    reading.sign(DORA, STUDY, {})
    read(reading, BEN, NO, NO)
    with pytest.raises(NotAllowed, match="only your own signature"):
        reading.reopen(DORA, STUDY, "to agree with ben")


@pytest.mark.parametrize("step", ["$x_{", "a b", "<b>", "a\0b", "\ud800", "", "x" * 41])
def test_a_step_is_a_word_since_plots_show_it(engine: Engine, step: str) -> None:
    reading = desk(engine)
    read(reading, ANN, YES, NO)
    reading.reopen(ANN, STUDY, "again")
    with pytest.raises(ReviewError, match="one word of small letters"):
        reading.sign(ANN, STUDY, {step: 1})
    assert reading.state(STUDY).holders == ["ann"]


def test_an_administrator_reads_and_sees_nothing(engine: Engine) -> None:
    reading = desk(engine)
    with pytest.raises(NotAllowed, match="administrator reads no studies"):
        reading.take(EVE, STUDY)
    read(reading, ANN, YES, NO)
    assert not reading.rules.may_see(EVE, reading.state(STUDY))
    assert reading.rules.can(EVE, reading.state(STUDY)) == ()


def test_images_are_for_who_reads_them(engine: Engine) -> None:
    reading = desk(engine)
    reading.take(ANN, STUDY)
    seen = {who.name: reading.rules.may_see(who, reading.state(STUDY)) for who in (ANN, BEN, DORA)}
    assert seen == {"ann": True, "ben": False, "dora": False}
    reading.release(ANN, STUDY)
    assert not reading.rules.may_see(ANN, reading.state(STUDY))


def test_what_others_hold_only_an_adjudicator_or_administrator_ends(engine: Engine) -> None:
    reading = desk(engine)
    reading.take(ANN, STUDY)
    with pytest.raises(NotAllowed, match="held by somebody else"):
        reading.release(BEN, STUDY, "ann")
    reading.release(EVE, STUDY, "ann")
    assert reading.state(STUDY).holders == []


def test_a_new_report_is_read_anew_and_nothing_of_the_old_is_lost(engine: Engine) -> None:
    reports = FakeReports()
    reading = Reading(engine, reports, readers=2, blinded=True)
    read(reading, ANN, YES, NO)
    old = reports.known[STUDY]
    reports.known[STUDY] = FakeReport(b'{"new": 1}')
    assert phase(reading) is Phase.NEW
    reading.take(ANN, STUDY)
    assert Attachments(engine).get(old.sha256) == old.raw
    earlier = fold(reading.history(STUDY), STUDY, old.sha256)
    assert set(earlier.signed) == {"ann"}


def test_a_state_that_is_kept_is_the_one_folded_anew(engine: Engine) -> None:
    reports = FakeReports()
    reading = Reading(engine, reports, readers=2, blinded=True)
    elsewhere = Reading(engine, reports, readers=2, blinded=True)

    def check() -> StudyState:
        sha = reports.known[STUDY].sha256
        state = reading.state(STUDY)
        assert state == fold(Journal(engine).entries(STUDY), STUDY, sha)
        assert reading.states({STUDY: sha}) == {STUDY: state}
        return state

    assert check().last == 0
    for number, reader in enumerate((ANN, BEN)):
        elsewhere.take(reader, STUDY)
        check()
        reading.commit(reader, STUDY, "L1", NO, 1)
        assert len(check().committed) == number + 1
    assert check() is check()
    reports.known[STUDY] = FakeReport(b'{"new": 1}')
    assert check().last == 0
    reading.take(ANN, STUDY)
    assert check().holders == ["ann"]


def test_a_mask_that_was_never_sent_is_refused(engine: Engine) -> None:
    reading = desk(engine, blinded=False)
    reading.take(ANN, STUDY)
    with pytest.raises(NotThere, match="a mask that was sent before"):
        reading.verdict(ANN, STUDY, "L1", Answer(True, mask="0" * 64), based_on=0, seconds=1)


@pytest.mark.parametrize("box", [((0, 0, 0), (11, 1, 1)), ((2, 0, 0), (2, 1, 1))])
def test_a_box_outside_the_image_is_refused(box: Any) -> None:
    with pytest.raises(ReviewError, match="a box within"):
        Place(0, "1.2", SHAPE, box)


def test_an_attachment_that_was_changed_is_found(engine: Engine) -> None:
    reading = desk(engine)
    reading.take(ANN, STUDY)
    kept, entries = Attachments(engine), list(Journal(engine).entries())
    assert list(kept.faults(entries)) == []
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER attachments_update")
        connection.exec_driver_sql("UPDATE attachments SET content = X'00'")
    assert [fault[:30] for fault in kept.faults(entries)] == ["entry 1 names what is not ther"]


WHO = st.sampled_from([ANN, BEN, CAT, DORA, EVE])
ANSWERS = st.sampled_from([YES, NO, Answer(None)])
LESION = st.sampled_from([*LESIONS, "L9"])
STEPS: tuple[Callable[[Reading, Reader, str, Answer], Any], ...] = (
    lambda desk, who, lesion, answer: desk.take(who, STUDY),
    lambda desk, who, lesion, answer: desk.take(who, STUDY),
    lambda desk, who, lesion, answer: desk.release(who, STUDY),
    lambda desk, who, lesion, answer: desk.commit(who, STUDY, lesion, answer, 1),
    lambda desk, who, lesion, answer: desk.verdict(
        who, STUDY, lesion, answer, based_on=standing(desk, who, lesion), seconds=1
    ),
    lambda desk, who, lesion, answer: desk.settle(
        who, STUDY, lesion, answer, based_on=0, seconds=1
    ),
    lambda desk, who, lesion, answer: desk.add(who, STUDY, place(), answer, 1),
    lambda desk, who, lesion, answer: desk.sign(who, STUDY, {}),
    lambda desk, who, lesion, answer: desk.sign(who, STUDY, {}),
    lambda desk, who, lesion, answer: desk.reopen(who, STUDY, "why"),
)


def standing(desk: Reading, who: Reader, lesion: str) -> int:
    found = desk.state(STUDY).verdicts.get((who.name, lesion))
    return 0 if found is None else found.seq


def hold(state: StudyState, phase: Phase) -> None:
    """Check what is true of a study whatever was tried."""
    assert len(state.signed) + len(state.holders) <= 2
    assert len(set(state.holders)) == len(state.holders)
    assert not set(state.holders) & set(state.signed)
    assert "eve" not in {*state.holders, *state.signed, state.settling}
    assert state.settling not in state.signed
    for who in state.signed:
        assert set(state.verdicts_of(who)) >= set(LESIONS)
        assert {lesion for name, lesion in state.committed if name == who} >= set(LESIONS)
    groups = state.groups(LESIONS)
    if phase is Phase.DONE:
        assert all(state.final(group) for group in groups)
    if state.closed:
        assert state.closed.reader not in state.signed


@settings(max_examples=40, deadline=None)
@given(
    tries=st.lists(st.tuples(st.sampled_from(STEPS), WHO, LESION, ANSWERS), max_size=60),
)
def test_whatever_is_tried_the_rules_hold(
    tmp_path_factory: pytest.TempPathFactory, tries: list[Any]
) -> None:
    with opened(tmp_path_factory.mktemp("tried") / "reviews.sqlite") as engine:
        reading = desk(engine)
        for step, who, lesion, answer in tries:
            before = len(reading.history(STUDY))
            try:
                step(reading, who, lesion, answer)
            except ReviewError:
                assert len(reading.history(STUDY)) == before
            hold(reading.state(STUDY), phase(reading))
        assert Journal(engine).check().faults == ()
