"""`calcilens phantoms realism`: how well a classifier tells phantoms from real images."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from calcilens.commands.console import print_json

if TYPE_CHECKING:
    from calcilens.data_manifests.schema import Manifest
    from calcilens.training.realism import Realism


def realism(
    phantoms: Path = typer.Option(..., metavar="FILE", help="Manifest of phantoms."),
    real: list[Path] = typer.Option(
        ...,
        metavar="FILE|FOLDER",
        help="Manifest of real lesions, or DICOM folder of CT or radiographs; may be repeated.",
    ),
    site: str | None = typer.Option(
        None,
        metavar="SITE",
        help="Compare real lesions with phantoms of this site only, such as thorax.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print as JSON."),
) -> None:
    """Say how well phantoms can be told from real images.

    It is the AUROC of a classifier: 0.5 is not at all, 1 always.
    A DICOM folder is compared by windows of soft tissue (CT) or of anatomy (radiographs), a
    manifest by its calcified lesions in relative brightness.
    """
    from calcilens.data_manifests.schema import read_manifest

    simulated = read_manifest(phantoms)
    found = [_compared(simulated, path, site) for path in real]
    if as_json:
        print_json({"comparisons": [asdict(one) for one in found]})
        return
    for path, one in zip(real, found, strict=True):
        typer.echo(_text(path, one))


def _compared(phantoms: Manifest, path: Path, site: str | None) -> Realism:
    from calcilens.data_manifests.schema import read_manifest
    from calcilens.training.realism import compare
    from calcilens.training.realism_views import lesions_of

    if path.is_file() and path.suffix in (".parquet", ".csv"):
        return compare("lesions", lesions_of(read_manifest(path)), lesions_of(phantoms, site))
    return _compared_dicom(phantoms, path)


def _compared_dicom(phantoms: Manifest, path: Path) -> Realism:
    """Compare with what a DICOM folder holds, in the modality of the phantoms."""
    from calcilens.imaging.study import read_studies
    from calcilens.training import realism_views as views
    from calcilens.training.realism import compare

    images = [image for study in read_studies(path) for image in study.images]
    if (phantoms.frame["modality"] == "CT").all():
        real, simulated = views.tissue_of_volumes(images), views.tissue_of_manifest(phantoms)
        return compare("tissue", real, simulated)
    real, simulated = views.radiographs_of(images), views.radiographs_of_manifest(phantoms)
    return compare("radiographs", real, simulated)


def _text(path: Path, found: Realism) -> str:
    """Return a comparison as lines for a person."""

    def line(name: str, area: dict[str, Any]) -> str:
        ends = area["auroc_ci95"]
        between = f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else ""
        return f"  {name:16} {area['auroc']:.3f}{between}"

    head = (
        f"{path.name}, {found.kind}: {found.real} real pictures of {found.real_groups} groups, "
        f"{found.phantom} simulated of {found.phantom_groups}; AUROC of telling them apart:"
    )
    areas = [line(name, asdict(area)) for name, area in found.by_family.items()]
    telling = [f"  {name}: {value:.3f}" for name, value in found.telling.items()]
    lot = f"  {'labels by lot':16} {found.by_lot:.3f}"
    return "\n".join([head, *areas, lot, "tells most by itself:", *telling])
