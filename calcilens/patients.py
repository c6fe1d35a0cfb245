"""Patient keys: the same patient gives the same key, and a key gives no patient."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from calcilens.errors import UsageError, compose

KEY_DIGITS = 16
LIDC_SALT = b"calcilens/lidc-idri"
"""Public on purpose: LIDC-IDRI identifiers are public pseudonyms, and keys of the same patient
must agree between manifests that different people build."""


def patient_key(patient: str, salt: bytes) -> str:
    """Return the salted hash of a patient's identifier: 16 hexadecimal digits."""
    digest = hmac.new(salt, patient.strip().encode(), hashlib.sha256)
    return digest.hexdigest()[:KEY_DIGITS]


def default_salt_path() -> Path:
    """Return where a user's secret salt lies."""
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "calcilens" / "patient.salt"


def read_salt(path: Path) -> bytes:
    """Read a secret salt; make one, readable by its owner only, when there is none.

    Raises:
        UsageError: The file is too short to be a salt.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_hex(32))
    salt = path.read_bytes().strip()
    if len(salt) < KEY_DIGITS:
        raise UsageError(
            compose(
                f"at least {KEY_DIGITS} bytes of salt",
                f"{len(salt)}",
                where=path.name,
                fix="name another --salt-file, or one that does not exist yet",
            )
        )
    return salt
