"""The columns of a manifest, once: Arrow types, JSON Schema and documentation follow from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from calcilens.vocabulary import ABSENT, MALIGNANCY_VOTES, PATTERN_KEYS

SCHEMA_VERSION = "2"
OLDER_VERSIONS = ("1",)
"""Versions that are still read."""
ADDED = ("mask", "site", "kvp", "kernel")
"""Columns that files of version 1 lack; they read as empty."""
IMAGE_KINDS = ("dicom", "nifti", "png", "png_stack")
MODALITIES = ("CT", "CR", "DX", "RG", "MG")
SPLITS = ("train", "val", "test", "unused")
BOX_COLUMNS = ("z0", "y0", "x0", "z1", "y1", "x1")
SPACING_COLUMNS = ("spacing_z_mm", "spacing_y_mm", "spacing_x_mm")
VOTE_COLUMNS = ("finding_votes", "pattern_votes", "concern_votes")
TRUTH_COLUMNS = ("finding_truth", "pattern_truth", "concern_truth")

Rule = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        name: Name in the table.
        type: Arrow type of a cell.
        rule: JSON Schema of a cell that is not empty.
        about: What it says, in one sentence.
        nullable: Whether a cell may be empty.
    """

    name: str
    type: pa.DataType
    rule: Rule
    about: str
    nullable: bool = True

    @property
    def is_list(self) -> bool:
        """Whether a cell holds a list."""
        return bool(pa.types.is_list(self.type))


_TEXT, _INT, _FLOAT, _FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_UID: Rule = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)*$", "maxLength": 64}
_WORD: Rule = {"type": "string", "minLength": 1}
_COUNT: Rule = {"type": "integer", "minimum": 0}
_INDEX: Rule = {"type": "integer"}
_MM: Rule = {"type": "number", "exclusiveMinimum": 0}
_KV: Rule = {"type": "number", "exclusiveMinimum": 0}
_BINARY: Rule = {"type": "number", "enum": [0, 1]}
_RELATIVE: Rule = {"type": "string", "pattern": r"^(?!/)(?!.*\\)(?!(.*/)?\.\.(/|$)).+$"}


def _hex(digits: int) -> Rule:
    return {"type": "string", "pattern": f"^[0-9a-f]{{{digits}}}$"}


def _one_of(*words: str) -> Rule:
    return {"type": "string", "enum": list(words)}


def _list_of(item: Rule) -> Rule:
    return {"type": "array", "items": item, "minItems": 1}


_VOTE_01: Rule = {"type": "integer", "enum": [0, 1]}
_VOTE_15: Rule = {"type": "integer", "enum": list(MALIGNANCY_VOTES)}

COLUMNS: tuple[Column, ...] = (
    Column("row_id", _TEXT, _WORD, "Name of the row, unique in the manifest.", nullable=False),
    Column(
        "image",
        _TEXT,
        _RELATIVE,
        "Path of the image, relative to the manifest's root, parts separated by `/`.",
        nullable=False,
    ),
    Column(
        "image_kind",
        _TEXT,
        _one_of(*IMAGE_KINDS),
        "How to read it: a DICOM file or folder, a NIfTI file, a PNG file, a folder of planes.",
        nullable=False,
    ),
    Column(
        "mask",
        _TEXT,
        _RELATIVE,
        "Path of the mineral's mask in the grid of the stack, not 0 where there is mineral:"
        " NIfTI, PNG, or a folder of PNG planes.",
    ),
    Column("modality", _TEXT, _one_of(*MODALITIES), "DICOM modality.", nullable=False),
    Column("study_uid", _TEXT, _UID, "StudyInstanceUID."),
    Column("series_uid", _TEXT, _UID, "SeriesInstanceUID; which series of a DICOM folder."),
    Column("sop_uid", _TEXT, _UID, "SOPInstanceUID where the row is about one instance."),
    Column("frame", _INT, _COUNT, "Frame within the instance, from 0."),
    Column("key_plane", _INT, _COUNT, "Plane of the loaded stack that shows the lesion best."),
    *(
        Column(
            name,
            _INT,
            _INDEX,
            f"Box in voxels of the loaded stack: {name[0]} {'start' if name[1] == '0' else 'stop'}"
            f"{' (not included)' if name[1] == '1' else ''}.",
            nullable=False,
        )
        for name in BOX_COLUMNS
    ),
    *(Column(name, _FLOAT, _MM, f"Voxel spacing along {name[8]}, mm.") for name in SPACING_COLUMNS),
    Column("patient_key", _TEXT, _hex(16), "Salted hash of the patient's ID.", nullable=False),
    Column("source", _TEXT, _WORD, "Data set that the row comes from.", nullable=False),
    Column("split", _TEXT, _one_of(*SPLITS), "Part of the data that the row belongs to."),
    Column("fold", _INT, _COUNT, "Fold of a cross-validation, from 0."),
    Column(
        "readers",
        _INT,
        {"type": "integer", "minimum": 1},
        "Number of votes of the most-voted head, else 1.",
        nullable=False,
    ),
    Column("finding_votes", pa.list_(_INT), _list_of(_VOTE_01), "1: a reader sees calcification."),
    Column("finding", _FLOAT, _BINARY, "Calcified (1) or not (0), where it is known for certain."),
    Column(
        "pattern_votes",
        pa.list_(_TEXT),
        _list_of(_one_of(*PATTERN_KEYS, ABSENT)),
        f"Pattern that each reader sees; `{ABSENT}` where a reader sees none.",
    ),
    Column(
        "pattern",
        pa.list_(_TEXT),
        _list_of(_one_of(*PATTERN_KEYS)),
        "Pattern or patterns, where known for certain.",
    ),
    Column(
        "concern_votes",
        pa.list_(_INT),
        _list_of(_VOTE_15),
        "Malignancy vote of each reader, 1 (highly unlikely) to 5 (highly suspicious).",
    ),
    Column("concern", _FLOAT, _BINARY, "Malignant (1) or benign (0), where known for certain."),
    Column("contrast", _FLAG, {"type": "boolean"}, "Whether contrast medium was given."),
    Column("diameter_mm", _FLOAT, _MM, "Largest diameter of the lesion, mm."),
    Column("site", _TEXT, _WORD, "Anatomical site."),
    Column("kvp", _FLOAT, _KV, "Tube voltage, kV."),
    Column("kernel", _TEXT, _WORD, "Reconstruction kernel; of a radiograph, the processing."),
    Column(
        "sha256",
        _TEXT,
        _hex(64),
        "Digest of the image file; of a folder, the digest of its files' digests and names.",
        nullable=False,
    ),
)
NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)
NEEDED: tuple[str, ...] = tuple(name for name in NAMES if name not in ADDED)


def arrow_schema() -> pa.Schema:
    """Return the Arrow schema of a manifest."""
    return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in COLUMNS])


def json_schema() -> Rule:
    """Return the JSON Schema (2020-12) of one row; an empty cell is null."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One row of a Calcilens manifest",
        "version": SCHEMA_VERSION,
        "type": "object",
        "required": [c.name for c in COLUMNS if not c.nullable],
        "properties": {c.name: _or_null(c) | {"description": c.about} for c in COLUMNS},
        "additionalProperties": False,
    }


def _or_null(column: Column) -> Rule:
    if not column.nullable:
        return dict(column.rule)
    rule = dict(column.rule) | {"type": [column.rule["type"], "null"]}
    return rule | {"enum": [*rule["enum"], None]} if "enum" in rule else rule
