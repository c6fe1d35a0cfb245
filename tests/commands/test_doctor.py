from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calcilens.cli import app
from calcilens.commands import doctor
from calcilens.commands.doctor import Check
from calcilens.models import registry
from calcilens.models.registry import ModelFile

run = CliRunner().invoke


def test_this_installation_is_sound() -> None:
    result = run(app, ["doctor", "--json"])
    report = json.loads(result.stdout)
    broken = [c for c in report["checks"] if c["state"] == "broken"]
    assert (result.exit_code, broken, report["ok"]) == (0, [], True)


def test_every_check_is_in_the_table() -> None:
    said = run(app, ["doctor"]).stdout
    names = ("python", "packages", "torch", "accelerator", "decoders", "models", "memory")
    assert [name for name in names if not re.search(rf"^{name}\b", said, re.MULTILINE)] == []


def test_a_broken_check_means_exit_1_and_its_fix_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = Check("models", "broken", "weights changed", "fetch them again")
    monkeypatch.setattr(doctor, "check_models", lambda: iter([wrong]))
    assert run(app, ["doctor"]).exit_code == 1
    assert "-> fetch them again" in run(app, ["doctor"]).stdout
    assert json.loads(run(app, ["doctor", "--json"]).stdout)["ok"] is False


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("operator torchvision::nms does not exist", "different builds"),
        ("libcudart.so.13: cannot open shared object file", "make clean setup"),
    ],
)
def test_a_torch_that_cannot_be_imported_comes_with_its_cure(message: str, advice: str) -> None:
    check = doctor.torch_failure(RuntimeError(message))
    assert check.state == "broken"
    assert message in check.found
    assert advice in str(check.fix)


def test_a_package_outside_its_bounds_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor._version
    monkeypatch.setattr(
        doctor, "_version", lambda name: "2.6.3" if name == "lightning" else real(name)
    )
    check = list(doctor.check_packages())[-1]
    assert (check.name, check.state) == ("packages", "broken")
    assert "lightning 2.6.3 (wanted >=2.6.4)" in check.found


def test_a_missing_decoder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unable:
        is_available = False

    monkeypatch.setattr("pydicom.pixels.decoders.base.get_decoder", lambda uid: Unable())
    (check,) = doctor.check_decoders()
    assert check.state == "broken"
    assert "JPEGLSLossless" in check.found


def test_a_real_data_variable_that_points_nowhere_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CALCILENS_REAL_DATA", "nowhere/at/all")
    check = list(doctor.check_machine())[-1]
    assert check.state == "warning"


def test_embedded_weights_that_changed_or_went_missing_are_broken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    card = {
        "name": "a",
        "modality": "CT",
        "network": {},
        "sha256": hashlib.sha256(b"a").hexdigest(),
    }
    files = {}
    for name in ("sound", "changed", "missing"):
        (tmp_path / f"{name}.json").write_text(json.dumps(card))
        files[name] = ModelFile(name, tmp_path / f"{name}.safetensors", tmp_path / f"{name}.json")
    files["sound"].weights.write_bytes(b"a")
    files["changed"].weights.write_bytes(b"b")
    monkeypatch.setattr(registry, "embedded", lambda: files)
    monkeypatch.setattr(registry, "DEFAULT", {"CT": "sound"})
    states = [check.state for check in doctor.check_models()]
    assert states == ["ok", "broken", "broken"]
    monkeypatch.setattr(registry, "DEFAULT", {"CT": "sound", "radiograph": "another"})
    assert next(doctor.check_models()).found == "the default model another is not there"
