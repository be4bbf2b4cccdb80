"""What a stranger at a socket says: a JSON object, or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def said(text: str | None) -> Mapping[str, Any]:
    """Return what is said; nothing where it is no word of ours."""
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
