"""Wheels of this project at made-up versions, as quickly as they can be made."""

from __future__ import annotations

import base64
import sysconfig
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from tests.lane import ROOT

#: What is only watched takes no part in an update, and six megabytes.
_LEFT_OUT = ("p2c2g_capture/clips/",)


def build(folder: Path) -> Path:
    """Build the project's wheel, at the version that it has."""
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(path)


def as_version(
    wheel: Path, folder: Path, version: str, changes: Mapping[str, str] | None = None
) -> Path:
    """Return a copy of a wheel at another version, which finds its libraries where ours are.

    Args:
        wheel: of :func:`build`.
        folder: where the copy is written.
        version: that it is to have.
        changes: text that is added to files of it, by path.
    """
    left = dict(changes or {})
    made = folder / f"p2c2g-{version}-py3-none-any.whl"
    records: list[str] = []
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(made, "w") as new:
        info = next(name.partition("/")[0] for name in old.namelist() if ".dist-info/" in name)
        own = f"p2c2g-{version}.dist-info"

        def add(name: str, data: bytes) -> None:
            digest = base64.urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
            records.append(f"{name},sha256={digest},{len(data)}")
            new.writestr(name, data)

        for name in old.namelist():
            if name.startswith(_LEFT_OUT) or name == f"{info}/RECORD":
                continue
            data = old.read(name)
            if name == f"{info}/METADATA":
                before = info.removeprefix("p2c2g-").removesuffix(".dist-info")
                data = data.replace(
                    f"\nVersion: {before}\n".encode(), f"\nVersion: {version}\n".encode(), 1
                )
            data += left.pop(name, "").encode()
            add(name.replace(info, own), data)
        # pip is told to install no libraries: a new environment has those of this one.
        add("libraries-of-the-tests.pth", f"{sysconfig.get_path('purelib')}\n".encode())
        records.append(f"{own}/RECORD,,")
        new.writestr(f"{own}/RECORD", "\n".join(records) + "\n")
    assert not left, left
    return made
