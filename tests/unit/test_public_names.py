"""The names that others build on, and what an import must not do."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import subprocess
import sys
from types import ModuleType

import pytest
from celery import current_app
from packaging.version import Version

import p2c2g
from p2c2g import errors
from p2c2g.celery import create_app
from p2c2g.errors import UsageError
from p2c2g.messaging.client import redis_client
from p2c2g.settings import BrokerSettings, Settings

#: What the modules that others build on make: their classes, functions and constants.
NAMES = {
    "p2c2g.errors": """
        P2C2GError UsageError OwnFaultError UnavailableError BrokerUnavailableError
        BrokerRefusesError PoolUnavailableError PoolRefusesError
        SourceUnavailableError UpdateError ChunkError WireError CodecError ProcessorError
        CheckError""",
    "p2c2g.celery": "Application create_app",
    "p2c2g.media.frame": "MAX_EDGE Pixels ChunkKey Size Rect Frame Chunk",
    "p2c2g.media.picture": "FrameState Tile Picture",
    "p2c2g.media.wire": "VERSION ChunkHeader ResultHeader",
    "p2c2g.messaging.broker": "Broker",
    "p2c2g.messaging.client": """
        Client TRANSPORT_OPTIONS SOCKET_TIMEOUT redis_client sentinel_options
        open_connection""",
    "p2c2g.messaging.envelope": "MAGIC VERSION Payload pack unpack is_envelope check",
}


def made_names(module: ModuleType) -> set[str]:
    """Return the public classes, functions and constants that a module's own lines make."""
    made = set()
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            made.add(node.name)
        elif isinstance(node, ast.Assign):
            made.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            made.add(node.target.id)
    # A single letter is a type variable.
    return {name for name in made if not name.startswith("_") and len(name) > 1} - {"logger"}


#: The public face, word for word: what one's own programs import from ``p2c2g``.
FACE = """
    Broker BrokerUnavailableError ChunkError Form Frame FrameState Grid Observer P2C2GError Picture
    Pipeline Session SessionConfig Settings Size UnavailableError UsageError __version__"""


def test_the_public_face_is_these_names_and_no_others() -> None:
    assert sorted(p2c2g.__all__) == sorted(FACE.split())
    for name in p2c2g.__all__:
        made = getattr(p2c2g, name)
        assert name == "__version__" or made.__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'Guard'"):
        _ = p2c2g.Guard


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import p2c2g, sys; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert not {"celery", "redis", "numpy", "cv2", "pydantic"} & set(loaded)


@pytest.mark.parametrize("name", NAMES)
def test_a_module_makes_these_names_and_no_others(name: str) -> None:
    module = importlib.import_module(name)
    assert made_names(module) == set(NAMES[name].split())
    assert all(hasattr(module, each) for each in made_names(module))


def test_the_version_is_one_that_packaging_understands() -> None:
    assert str(Version(p2c2g.__version__)) == p2c2g.__version__


def test_every_error_of_ours_says_its_exit_code_and_whether_to_retry() -> None:
    ours = [value for value in vars(errors).values() if inspect.isclass(value)]
    kinds = [error for error in ours if issubclass(error, errors.P2C2GError)]
    assert kinds == ours
    assert {error.__name__ for error in kinds if error.exit_code == 2} == {"UsageError"}
    assert {error.__name__ for error in kinds if not error.retryable} == {
        "P2C2GError", "UsageError", "WireError", "OwnFaultError", "BrokerRefusesError",
        "PoolRefusesError", "UpdateError",
    }  # fmt: skip


#: Run by a fresh interpreter, whose environment holds what no setting may.
IMPORT = """
import os
import p2c2g.celery as module
from celery import _state

assert "app" not in vars(module), "the import made the app"
assert not [app for app in _state._get_active_apps() if app.main == "p2c2g"]
from p2c2g.errors import UsageError
try:
    module.app
except UsageError as error:
    assert "P2C2G_WORKER_OPENCV_THREADS" in str(error), error
else:
    raise AssertionError("the wrong variable was not read")
os.environ["P2C2G_WORKER_OPENCV_THREADS"] = "1"
os.environ["P2C2G_BROKER_URL"] = "redis://later.example:1/2"
app = module.app
assert app.conf.broker_url == "redis://later.example:1/2"
assert app is module.app, "a second app was made"
assert app is _state.get_current_app()
print("ok")
"""


def test_importing_the_celery_module_reads_no_environment_and_makes_no_app() -> None:
    run = subprocess.run(
        [sys.executable, "-c", IMPORT],
        env={**os.environ, "P2C2G_WORKER_OPENCV_THREADS": "many", "P2C2G_BROKER_URL": "http://x"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, "ok\n"), run.stderr


def test_the_celery_module_has_no_other_lazy_names() -> None:
    module = importlib.import_module("p2c2g.celery")
    with pytest.raises(AttributeError, match="no attribute 'application'"):
        _ = module.application


def test_an_app_made_for_settings_is_nobodys_current_app() -> None:
    app = create_app(Settings(broker=BrokerSettings(url="redis://broker.example/4")))
    assert app.conf.broker_url == "redis://broker.example/4"
    assert current_app._get_current_object() is not app


def test_a_broker_that_is_none_is_refused_before_anything_is_made() -> None:
    settings = Settings(broker=BrokerSettings(url="http://broker.example"))
    for make in (create_app, redis_client):
        with pytest.raises(UsageError, match="is not a broker's URL"):
            make(settings)
