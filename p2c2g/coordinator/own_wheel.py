"""This installation of P2C2G as a wheel, for machines that are to join with the same version.

Put together from the files that run here: a coordinator need not have kept what it was installed
from, and who installs from it gets what it speaks.  The same files make the same bytes.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from p2c2g.errors import UnavailableError

#: Bytes of a wheel at most: more is no installation of ours.
MOST: Final = 64 << 20
#: What a wheel has of the folder of metadata, beside licences.
_METADATA: Final = ("METADATA", "entry_points.txt")
_WHEEL: Final = "Wheel-Version: 1.0\nGenerator: p2c2g\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
#: A moment that zip files can hold.
_MOMENT: Final = (2020, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, repr=False)
class Wheel:
    """A wheel: its file's name, its bytes and their SHA-256 in hex."""

    name: str
    data: bytes
    sha256: str


@cache
def own_wheel() -> Wheel:
    """Return this installation's, put together at the first call.

    Raises:
        UnavailableError: P2C2G runs here without having been installed.
    """
    try:
        found = distribution("p2c2g")
    except PackageNotFoundError as error:
        raise UnavailableError(
            "This coordinator's P2C2G is not installed, so it has no wheel to give."
        ) from error
    files = dict(_files(found))
    if sum(map(len, files.values())) > MOST:
        raise UnavailableError("This coordinator's P2C2G is too large to be given as a wheel.")
    stem = f"p2c2g-{found.version}"
    info = f"{stem}.dist-info"
    files |= {f"{info}/{name}": data for name, data in _metadata(found)}
    files[f"{info}/WHEEL"] = _WHEEL.encode()
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    data = _zipped(files)
    return Wheel(f"{stem}-py3-none-any.whl", data, hashlib.sha256(data).hexdigest())


def _files(found: Distribution) -> Iterator[tuple[str, bytes]]:
    """Yield the files of all packages: this one, and those whose commands it has."""
    packages = {"p2c2g", *(each.module.partition(".")[0] for each in found.entry_points)}
    for package in sorted(packages):
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            root = Path(folder)
            for path in sorted(root.rglob("*")):
                inside = path.relative_to(root)
                if "__pycache__" not in inside.parts and path.is_file():
                    yield f"{package}/{inside.as_posix()}", path.read_bytes()


def _metadata(found: Distribution) -> Iterator[tuple[str, bytes]]:
    for name in _METADATA:
        if (text := found.read_text(name)) is not None:
            yield name, text.encode()
    for path in found.files or ():
        if len(path.parts) > 2 and path.parts[0].endswith(".dist-info"):
            yield "/".join(path.parts[1:]), path.read_binary()


def _record(files: dict[str, bytes], own: str) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for name, data in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.writerow((name, f"sha256={digest}", len(data)))
    rows.writerow((own, "", ""))
    return text.getvalue().encode()


def _zipped(files: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, data)
    return written.getvalue()
