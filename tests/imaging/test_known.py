"""Facts of a volume: worked out once, by whichever thread comes first, and forgotten with it."""

from __future__ import annotations

import gc
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from calcilens.imaging.images import Volume
from calcilens.imaging.known import OncePerVolume
from tests.imaging.measure.solids import diagonal, volume


def made() -> Volume:
    return volume(np.zeros((2, 4, 4), np.int16), diagonal((1.0, 1.0, 1.0)))


def test_however_many_threads_ask_a_fact_is_worked_out_once() -> None:
    asked: list[Volume] = []

    def find(volume: Volume) -> object:
        asked.append(volume)
        time.sleep(0.05)  # long enough for the others to ask meanwhile
        return object()

    known, one, other = OncePerVolume(find), made(), made()
    with ThreadPoolExecutor(8) as pool:
        facts = list(pool.map(known, [one, other] * 8))
    assert len(asked) == 2
    assert set(facts[::2]) == {known(one)}
    assert set(facts[1::2]) == {known(other)} != {known(one)}


def test_a_fact_from_elsewhere_is_taken() -> None:
    known, one = OncePerVolume(lambda _: "found"), made()
    assert known(one) == "found"
    known.replace(one, "given")
    assert known(one) == "given"


def test_the_facts_of_a_volume_that_is_gone_are_gone_too() -> None:
    known, one = OncePerVolume(lambda _: "found"), made()
    known(one)
    assert len(known._known) == 1
    del one
    gc.collect()
    assert len(known._known) == 0
