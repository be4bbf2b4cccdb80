"""Settings: read when asked for, refused in one sentence, and no password in any of them."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils.url import parse_url

from p2c2g.errors import UsageError
from p2c2g.settings import BrokerSettings, Settings, load
from p2c2g.settings.broker_url import BrokerUrl, redacted


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith(("P2C2G_", "REDIS_URL")):
            monkeypatch.delenv(name)


def broker(url: str, **fields: object) -> BrokerSettings:
    return BrokerSettings.model_validate({"url": url, **fields})


def test_without_variables_there_are_defaults() -> None:
    settings = load()
    assert settings == Settings()
    assert settings.broker.url == "redis://127.0.0.1:6379/0"
    assert settings.broker.verify
    assert (settings.worker.opencv_threads, settings.session.queue) == (1, "cpu")


def test_every_setting_has_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "P2C2G_BROKER_URL": "rediss://broker.example/3",
        "P2C2G_BROKER_CA": "ca.pem",
        "P2C2G_BROKER_VERIFY": "false",
        "P2C2G_BROKER_SENTINEL_MASTER": "games",
        "P2C2G_BROKER_SENTINEL_PASSWORD": "theirs",
        "P2C2G_BROKER_PREFIX": "games-2",
        "P2C2G_WORKER_OPENCV_THREADS": "4",
        "P2C2G_WORKER_RESULT_LIFETIME": "5",
        "P2C2G_WORKER_GPU": "1",
        "P2C2G_WORKER_GPU_MEMORY_MB": "2048",
        "P2C2G_WORKER_GPU_BATCH": "4",
        "P2C2G_WORKER_GPU_HALF": "true",
        "P2C2G_WORKER_BEAT_INTERVAL": "0.5",
        "P2C2G_SESSION_DEADLINE_MS": "33.5",
        "P2C2G_SESSION_QUALITY": "70",
        "P2C2G_SESSION_RESIDUAL_QUALITY": "60",
        "P2C2G_SESSION_QUEUE": "gpu",
        "P2C2G_SESSION_POLICY": "predictive",
        "P2C2G_LOG_LEVEL": "debug",
        "P2C2G_LOG_DIR": "logs",
        "P2C2G_LOG_MEGABYTES": "0.5",
        "P2C2G_LOG_BACKUPS": "7",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = load()
    assert settings.model_dump() == {
        "broker": {
            "url": "rediss://broker.example/3",
            "ca": Path("ca.pem"),
            "verify": False,
            "sentinel_master": "games",
            "sentinel_password": "theirs",
            "prefix": "games-2",
        },
        "worker": {
            "opencv_threads": 4,
            "result_lifetime": 5,
            "gpu": 1,
            "gpu_memory_mb": 2048,
            "gpu_batch": 4,
            "gpu_half": True,
            "beat_interval": 0.5,
        },
        "session": {
            "deadline_ms": 33.5,
            "quality": 70,
            "residual_quality": 60,
            "queue": "gpu",
            "policy": "predictive",
        },
        "log": {"level": "DEBUG", "dir": Path("logs"), "megabytes": 0.5, "backups": 7},
    }
    assert len(variables) == sum(map(len, settings.model_dump().values()))


def test_a_variable_that_is_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("P2C2G_BROKER_CA", "P2C2G_BROKER_URL", "P2C2G_WORKER_OPENCV_THREADS"):
        monkeypatch.setenv(name, "")
    assert load() == Settings()
    assert load().broker.ca is None


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("P2C2G_WORKER_OPENCV_THREADS", "many", "valid integer"),
        ("P2C2G_WORKER_OPENCV_THREADS", "-1", "greater than or equal to 0"),
        ("P2C2G_WORKER_RESULT_LIFETIME", "0", "greater than or equal to 1"),
        ("P2C2G_SESSION_DEADLINE_MS", "0", "greater than 0"),
        ("P2C2G_SESSION_DEADLINE_MS", "nan", "less than or equal to 60000"),
        ("P2C2G_SESSION_DEADLINE_MS", "inf", "less than or equal to 60000"),
        ("P2C2G_SESSION_QUALITY", "101", "less than or equal to 100"),
        ("P2C2G_SESSION_RESIDUAL_QUALITY", "0", "greater than or equal to 1"),
        ("P2C2G_BROKER_VERIFY", "perhaps", "valid boolean"),
        ("P2C2G_BROKER_PREFIX", "a.b", "match pattern"),
        ("P2C2G_BROKER_PREFIX", "a:b", "match pattern"),
        ("p2c2g_session_quality", "high", "valid integer"),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence_that_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, right: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=right) as caught:
        load()
    sentence = str(caught.value)
    assert sentence.startswith(f"{name.upper()} cannot be used: ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "name", ["P2C2G_BROKER", "P2C2G_BROKER_URI", "P2C2G_SESSION_DEADLINE", "P2C2G_WORKER"]
)
def test_a_variable_that_is_no_setting_is_refused_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "redis://:secret@broker.example")
    group = "_".join(name.split("_")[:2])
    with pytest.raises(UsageError, match=f"^{name} is no setting: there are {group}_") as caught:
        load()
    assert "secret" not in str(caught.value)


def test_variables_of_others_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("P2C2G_LOGO", "P2C2G_IMAGE", "P2C2G_BROKERAGE", "BROKER_URL"):
        monkeypatch.setenv(name, "x")
    assert load() == Settings()


def test_what_kubernetes_and_docker_inject_for_a_service_of_that_name_is_let_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for group in ("BROKER", "WORKER", "SESSION", "LOG", "BROKER_REDIS"):
        for name, value in {
            "SERVICE_HOST": "10.0.0.1",
            "SERVICE_PORT": "6379",
            "SERVICE_PORT_REDIS": "6379",
            "PORT": "tcp://10.0.0.1:6379",
            "PORT_6379_TCP": "tcp://10.0.0.1:6379",
            "PORT_6379_TCP_PROTO": "tcp",
            "PORT_6379_TCP_PORT": "6379",
            "PORT_6379_TCP_ADDR": "10.0.0.1",
            "NAME": "/web/broker",
            "ENV_REDIS_VERSION": "7.2",
        }.items():
            monkeypatch.setenv(f"P2C2G_{group}_{name}", value)
    assert load() == Settings()


def test_a_port_of_ones_own_is_still_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2C2G_BROKER_PORT", "6379")
    with pytest.raises(UsageError, match="P2C2G_BROKER_PORT is no setting"):
        load()


def test_redis_url_names_the_broker_where_ours_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:pw@host:7/1")
    assert load().broker.url == "redis://:pw@host:7/1"
    assert "REDIS_URL" in load().broker.named_by
    monkeypatch.setenv("P2C2G_BROKER_URL", "redis://ours")
    assert load().broker.url == "redis://ours"
    assert load().broker.named_by == ""


def test_a_wrong_redis_url_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "http://:pw@host")
    with pytest.raises(UsageError, match=r"\(from REDIS_URL\) is not a broker's URL") as caught:
        load().broker.checked_url()
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("redis://localhost", "redis://localhost"),
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://user:p%23ss@h:1/15", "redis://user:p%23ss@h:1/15"),
        ("redis://[::1]:6379/", "redis://[::1]:6379/"),
        ("REDISS://h?ssl_cert_reqs=none", "rediss://h"),
        ("redis://[::1]", "redis://[::1]"),
        ("redis://:p#s;s@h/0", "redis://:p%23s%3Bs@h/0"),
        ("redis://:p/s@@?s@h:1/2?ssl_cert_reqs=none", "redis://:p%2Fs%40%40%3Fs@h:1/2"),
        ("redis://:100%@h", "redis://:100%25@h"),
        ("redis://:a:b%3Bc@h", "redis://:a%3Ab%3Bc@h"),
        ("redis://jürgen:geheim€@h", "redis://j%C3%BCrgen:geheim%E2%82%AC@h"),
        ("sentinel://a:26379", "sentinel://a:26379"),
        ("sentinels://:p;w@a/3", "sentinels://:p%3Bw@a/3"),
        (
            "sentinel://u:pw@a:1/3;sentinel://b:2",
            "sentinel://u:pw@a:1/3;sentinel://u:pw@b:2/3",
        ),
        ("sentinel://a:1;sentinel://b:2;sentinel://c", "sentinel://a:1;sentinel://b:2;sentinel://c"),
    ],
)  # fmt: skip
def test_a_brokers_url_is_let_pass_without_its_query(url: str, checked: str) -> None:
    assert broker(url).checked_url() == checked


WRONG_URLS = [
    "", "127.0.0.1:6379", "http://h", "amqp://h", "redis://", "redis:///0", "redis://:pw@",
    "redis://h:port", "redis://h:70000", "redis://h:0", "redis://[::1", "redis://h/games",
    "redis://h/0#x", "redis://h/0?x=a@h", "redis://h:1:2/0", "redis://[1]2/0",
    "sentinel://", "sentinel://a;", "sentinel://a;sentinels://b", "sentinel://a;redis://b",
    "sentinel://a:1;sentinel://", "redis://a;sentinel://b", "redis+socket:///run/redis",
]  # fmt: skip


@pytest.mark.parametrize("url", WRONG_URLS)
def test_what_is_no_brokers_url_is_refused_with_an_example(url: str) -> None:
    for ask in (broker(url).checked_url, broker(url).tls):
        with pytest.raises(UsageError, match="is not a broker's URL: give redis://") as caught:
            ask()
        assert "such as redis://127.0.0.1:6379/0." in str(caught.value)
        assert "ss@" not in str(caught.value)


@pytest.mark.parametrize(
    "query", ["password=x", "ssl_cert_reqs=nope", "ssl_cert_reqs=none&db=1", "ssl_ca_certs=/x"]
)
def test_a_query_that_would_not_be_heeded_is_refused(query: str) -> None:
    with pytest.raises(UsageError, match="only ssl_cert_reqs=none or ssl_cert_reqs=required"):
        broker(f"rediss://h?{query}").checked_url()


@given(st.text())
def test_any_text_is_a_url_or_a_usage_error(text: str) -> None:
    for url in (text, f"redis://{text}", f"rediss://h{text}", f"sentinel://a;sentinel://{text}"):
        settings = broker(url)
        try:
            checked = settings.checked_url()
        except UsageError:
            continue
        assert broker(checked).checked_url() == checked
        has_tls = checked.startswith(("rediss://", "sentinels://"))
        assert (settings.tls() is None) == (not has_tls)


def test_only_rediss_has_tls() -> None:
    assert broker("redis://h").tls() is None
    assert broker("sentinel://h").tls() is None


def test_tls_verifies_unless_told_not_to(tmp_path: Path) -> None:
    strict = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    loose = {"ssl_cert_reqs": ssl.CERT_NONE, "ssl_check_hostname": False}
    assert broker("rediss://h").tls() == strict
    assert broker("rediss://h?ssl_cert_reqs=required").tls() == strict
    assert broker("rediss://h?ssl_cert_reqs=none").tls() == loose
    assert broker("rediss://h?ssl_cert_reqs=CERT_NONE").tls() == loose
    assert broker("rediss://h", verify=False).tls() == loose
    # Either may loosen; neither tightens what the other loosened.
    assert broker("rediss://h?ssl_cert_reqs=required", verify=False).tls() == loose
    ca = tmp_path / "ca.pem"
    ca.touch()
    assert broker("rediss://h", ca=ca).tls() == strict | {"ssl_ca_certs": str(ca)}


def test_certificates_that_are_not_there_are_refused(tmp_path: Path) -> None:
    for ca in (tmp_path, tmp_path / "ca.pem"):
        with pytest.raises(UsageError, match=r"P2C2G_BROKER_CA names .* not a file"):
            broker("rediss://h", ca=ca).tls()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("redis://user@h/0", "redis://user@h/0"),
        ("redis://:secret@h/0", "redis://:***@h/0"),
        ("rediss://user:secret@h:1/0?x=1", "rediss://user:***@h:1/0?x=1"),
        ("redis://:se#cr/et?@h/0", "redis://:***@h/0"),
        ("redis://:secret@@h", "redis://:***@h"),
        ("redis://:a://secret@h", "redis://:***@h"),
        (":secret@h:6379", ":***@h:6379"),
        ("redis://h/0?password=secret&db=1", "redis://h/0?password=***&db=1"),
        ("redis://h/0?password=sec@ret", "redis://h/0?password=***"),
        ("sentinel://:secret@a:1;sentinel://u:secret@b:2", "sentinel://:***@a:1;sentinel://u:***@b:2"),
    ],
)  # fmt: skip
def test_redacted_shows_no_password(url: str, shown: str) -> None:
    assert redacted(url) == shown


@given(
    st.text("abc", max_size=3), st.text(min_size=1), st.sampled_from(["redis", "rediss", "http"])
)
def test_no_password_is_seen_in_what_is_shown(user: str, filler: str, scheme: str) -> None:
    password = "Geheim" + filler.replace("@", "").replace("\n", "") + "Geheim"
    url = f"{scheme}://{user}:{password}@host:port/0"
    with pytest.raises(UsageError) as caught:
        broker(url).checked_url()
    assert "Geheim" not in str(caught.value)
    assert "Geheim" not in redacted(url)
    address = BrokerUrl.parse(f"redis://{user}:{password}@host:1/0")
    assert address is not None
    assert "Geheim" not in address.shown


@given(st.text(min_size=1))
def test_any_password_arrives_encoded_and_as_it_is(password: str) -> None:
    encoded = quote(password, safe="")
    for written in (encoded, password):
        if written == password and re.search("%[0-9A-Fa-f]{2}", password):
            continue  # It means another password.
        address = BrokerUrl.parse(f"redis://:{written}@host:1/2")
        assert address is not None
        assert (address.password, address.hosts, address.database) == (password, [("host", 1)], 2)
        # kombu and Celery read the same from it, and redis-py.
        read = parse_url(address.text)
        assert (read["password"], read["hostname"], read["port"]) == (password, "host", 1)
        assert redis.connection.parse_url(address.text)["password"] == password
