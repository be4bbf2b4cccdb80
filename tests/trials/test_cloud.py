"""A cloud's machine from its first start: cloud-init, a release, a public authority's certificate.

The authority is Pebble, which asks as Let's Encrypt does; the pool's name leads to the machine.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from p2c2g import __version__

from .authority import Outside
from .machines import PATIENCE, POOL, Machine, Network
from .pools import INSTALLED, ROOT, make_member, played, say, sdist, step, wheel

pytestmark = [
    pytest.mark.trial,
    pytest.mark.timeout(6 * PATIENCE),
    pytest.mark.needs("pebble", "pebble-challtestsrv"),
]
SEED = "var/lib/cloud/seed/nocloud"


def filled_in(**values: str) -> str:
    """Return what deploy/opentofu/server gives cloud-init."""
    text = (ROOT / "deploy/opentofu/server/cloud-init.yaml").read_text()
    for name, value in values.items():
        assert f"${{{name}}}" in text
        text = text.replace(f"${{{name}}}", value)
    return text


def test_a_clouds_machine_becomes_a_pool_by_itself(stack: ExitStack, folder: Path) -> None:
    network = Network(stack)
    cloud, member = (Machine(stack, network, folder, name) for name in ("cloud", "member"))
    outside = Outside(stack, folder, network.own, cloud.address)
    release = shutil.copy(sdist(folder), outside.releases)
    with step("cloud-init itself, which a cloud's image has"):
        cloud.run(
            "apt-get -qq update; apt-get -qq -y --no-install-recommends install cloud-init curl "
            ">/dev/null; systemctl mask --quiet apt-daily.service"
        )
    # What the world has, and this network has not.
    trusted = "usr/local/share/ca-certificates/outside.crt"
    (cloud.root / trusted).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(outside.ca, cloud.root / trusted)
    cloud.run("update-ca-certificates >/dev/null; mkdir -p /etc/letsencrypt; rm -f /etc/pip.conf")
    (cloud.root / "etc/letsencrypt/cli.ini").write_text(f"server = {outside.acme}\n")

    seed = cloud.root / SEED
    seed.mkdir(parents=True)
    (seed / "meta-data").write_text("instance-id: trial-1\nlocal-hostname: cloud\n")
    (seed / "user-data").write_text(
        filled_in(
            domain=POOL,
            email="you@example.org",
            source_url=f"{outside.releases_url}/{Path(release).name}",
            source_sha256=hashlib.sha256(Path(release).read_bytes()).hexdigest(),
        )
    )
    said = cloud.run(f"cloud-init schema --config-file /{SEED}/user-data").stdout
    assert "Valid" in said
    off = cloud.root / "etc/cloud/cloud.cfg.d/99-trial.cfg"
    off.write_text("network: {config: disabled}\ndatasource_list: [NoCloud]\n")
    with step("the first start: a release, vps.sh, a certificate"):
        for stage in ("init --local", "init", "modules --mode=config", "modules --mode=final"):
            cloud.run(f"cloud-init {stage} >>/var/log/cloud-init-output.log 2>&1", check=False)
        log = (cloud.root / "var/log/cloud-init-output.log").read_text()
        assert f"https://{POOL} answers" in log, log
    assert cloud.run("p2c2g --version").stdout == f"p2c2g {__version__}\n"

    member.run(f"echo {cloud.address} {POOL} >> /etc/hosts")
    (member.root / "etc/pool-ca.crt").write_text(outside.root())
    moved = cloud.run(
        f"curl -s -o /dev/null -w '%{{http_code}} %{{redirect_url}}' --noproxy '*' "
        f"-H 'Host: {POOL}' http://127.0.0.1/s/x"
    ).stdout
    assert moved == f"308 https://{POOL}/s/x"
    make_member(member, wheel(folder, __version__))
    token = cloud.run("p2c2g keys create anna --role peer --uses 1").stdout.strip()
    key = cloud.run("p2c2g keys create ben --role gamer").stdout.strip()
    # The front by the public authority, the broker by its own, which the coordinator hands out.
    with step("a peer joins, and 8 s are played"):
        say(f"           {played(member, key, token)}")

    def shown() -> str:
        script = (
            f"openssl s_client -connect 127.0.0.1:443 -servername {POOL} </dev/null 2>/dev/null"
        )
        return cloud.run(f"{script} | openssl x509 -noout -serial -issuer").stdout

    before = shown()
    assert "Pebble" in before
    with step("the certificate is renewed, and shown"):
        cloud.run("certbot renew --quiet --force-renewal --no-random-sleep-on-renew")
        assert shown() != before
    assert "Nothing had to be changed" in cloud.run(INSTALLED).stdout
