"""What makes a machine a peer, before it has a key: a script, and this version as a wheel.

Both are public: they hold nothing that is not in the source.  The script has the coordinator's
address filled in, and the wheel's SHA-256, so that what is installed is what was named.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from p2c2g import __version__
from p2c2g.coordinator.access import ServicesDep, address_of
from p2c2g.coordinator.limiter import who_asks
from p2c2g.coordinator.own_wheel import own_wheel
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.joining.address import PoolAddress

router = APIRouter(include_in_schema=False)

#: Wheels that one address is sent a minute: they are of some megabytes.
WHEELS_PER_MINUTE: Final = 10


@router.get("/install.sh")
def script(request: Request, services: ServicesDep) -> PlainTextResponse:
    """Give the script that installs a peer of this pool."""
    told = services.settings.coordinator.public_url or str(request.base_url).rstrip("/")
    try:
        # It stands in a script, so no more than an address may be in it.
        address = PoolAddress.parse(told)
    except UsageError as error:
        raise UnavailableError(
            "This coordinator does not know its own address: its operator has to set "
            "P2C2G_COORDINATOR_PUBLIC_URL."
        ) from error
    try:
        wheel = own_wheel()
        name, sha256 = wheel.name, wheel.sha256
    except UnavailableError:
        name = sha256 = ""
    return PlainTextResponse(filled(address.url, name, sha256), media_type="text/plain")


@router.get("/wheels/{name}")
def wheel(name: str, request: Request, services: ServicesDep) -> Response:
    """Give this version as a wheel."""
    services.limiter.count("install", WHEELS_PER_MINUTE, who_asks(address_of(request)))
    own = own_wheel()
    if name != own.name:
        return PlainTextResponse(f"There is only {own.name} here.\n", 404)
    return Response(own.data, media_type="application/octet-stream")


def filled(address: str, wheel: str, sha256: str, version: str = __version__) -> str:
    """Return the script for one coordinator.

    Args:
        address: its own, as :class:`~p2c2g.joining.address.PoolAddress` has it.
        wheel: the name of the file that it gives; "" where it has none.
        sha256: of that, in hex.
        version: of P2C2G.
    """
    text = (files("p2c2g.lending") / "install.sh").read_text(encoding="utf-8")
    values = {"POOL": address, "VERSION": version, "WHEEL": wheel, "SHA256": sha256}
    for name, value in values.items():
        text = text.replace(f"'@{name}@'", f"'{value}'", 1)
    return text
