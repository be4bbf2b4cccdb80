"""Checks that what was built is one release: versions that agree, and a changelog that tells of it.

Needs nothing but Python.  ``--tag`` is a release itself: the tag, the files and a section of the
changelog with its day have to be of one version; ``--notes`` writes that section.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: A section's first line: a version, and the day of its release or that it has none yet.
HEADING = re.compile(r"^## (?P<version>\S+) \((?P<when>\d{4}-\d\d-\d\d|unreleased)\)$", re.M)
PART = re.compile(r"^### \S.*$", re.M)


class NotOneReleaseError(Exception):
    """What was built is no release; the sentence says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check; return 1 and say why where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tag", help="of the release, such as v0.2.0")
    parser.add_argument("--notes", type=Path, help="is written: the changelog's section")
    parser.add_argument("--sbom", type=Path, help="is told the version: CycloneDX in JSON")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    parser.add_argument("--changelog", type=Path, default=ROOT / "CHANGELOG.md")
    asked = parser.parse_args(arguments)
    try:
        version = version_of(asked.dist)
        when, notes = section(asked.changelog.read_text(encoding="utf-8"), version)
        if asked.tag is not None:
            check_tag(asked.tag, version, when)
        if asked.sbom is not None:
            named(asked.sbom, version)
        if asked.notes is not None:
            asked.notes.write_text(notes + "\n", encoding="utf-8")
    except NotOneReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{version} ({when}): wheel, sdist and changelog agree.")
    return 0


def version_of(dist: Path) -> str:
    """Return the version that a wheel and an sdist have, by name and by what they hold."""
    wheels, sdists = sorted(dist.glob("*.whl")), sorted(dist.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        raise NotOneReleaseError(
            f"{dist} holds {len(wheels)} wheels and {len(sdists)} sdists, where one of each is to "
            "be: make release-check builds them again."
        )
    with zipfile.ZipFile(wheels[0]) as wheel:
        (name,) = (each for each in wheel.namelist() if each.endswith(".dist-info/METADATA"))
        told = {wheels[0].name.split("-")[1], _version_in(wheel.read(name))}
    with tarfile.open(sdists[0]) as sdist:
        top = sdists[0].name.removesuffix(".tar.gz")
        file = sdist.extractfile(f"{top}/PKG-INFO")
        told |= {top.rpartition("-")[2], _version_in(file.read() if file else b"")}
    if len(told) != 1:
        raise NotOneReleaseError(f"Wheel and sdist are of different versions: {sorted(told)}.")
    return told.pop()


def section(changelog: str, version: str) -> tuple[str, str]:
    """Return when a version was released, and what the changelog says of it."""
    found = list(HEADING.finditer(changelog))
    for this, following in zip(found, [*found[1:], None], strict=True):
        if this["version"] != version:
            continue
        text = changelog[this.end() : following.start() if following else None].strip()
        if not PART.search(text):
            raise NotOneReleaseError(
                f"The changelog's section of {version} has no part, such as ### Open pools."
            )
        return this["when"], text
    raise NotOneReleaseError(
        f"CHANGELOG.md has no section ## {version} (YYYY-MM-DD) or ## {version} (unreleased)."
    )


def check_tag(tag: str, version: str, when: str) -> None:
    """Check that a tag is the one of this version, which has its day."""
    if tag != f"v{version}":
        raise NotOneReleaseError(f"The tag is {tag}, and what was built is {version}.")
    if when == "unreleased":
        raise NotOneReleaseError(
            f"CHANGELOG.md has {version} as unreleased: give its section the day, and tag that."
        )


def named(sbom: Path, version: str) -> None:
    """Have a list of what is in it name the version that it is of."""
    told = json.loads(sbom.read_text(encoding="utf-8"))
    if told.get("bomFormat") != "CycloneDX" or not told.get("components"):
        raise NotOneReleaseError(f"{sbom} lists nothing.")
    told["metadata"]["component"]["version"] = version
    sbom.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _version_in(metadata: bytes) -> str:
    found = re.search(rb"^Version: (\S+)$", metadata, re.M)
    return found[1].decode() if found else "none"


if __name__ == "__main__":
    sys.exit(main())
