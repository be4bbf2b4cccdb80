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
from pydantic import SecretStr

from p2c2g.errors import UsageError
from p2c2g.settings import BrokerSettings, Settings, load
from p2c2g.settings.broker_url import BrokerUrl, redacted


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith(("P2C2G_", "REDIS_", "DATABASE_URL", "PORT", "HONCHO_")):
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
        "P2C2G_WORKER_REMEMBERED_MB": "8",
        "P2C2G_WORKER_GPU_HALF": "true",
        "P2C2G_WORKER_BEAT_INTERVAL": "0.5",
        "P2C2G_SESSION_DEADLINE_MS": "33.5",
        "P2C2G_SESSION_QUALITY": "70",
        "P2C2G_SESSION_RESIDUAL_QUALITY": "60",
        "P2C2G_SESSION_QUEUE": "gpu",
        "P2C2G_SESSION_POLICY": "predictive",
        "P2C2G_SESSION_SHOW_EVIDENCE": "true",
        "P2C2G_SESSION_MAX_UP_MBPS": "5",
        "P2C2G_SESSION_MAX_DOWN_MBPS": "20.5",
        "P2C2G_SESSION_METERED": "1",
        "P2C2G_LOG_LEVEL": "debug",
        "P2C2G_LOG_CONSOLE": "stdout",
        "P2C2G_LOG_ONE_LINE": "true",
        "P2C2G_COORDINATOR_POOL": "own",
        "P2C2G_LOG_DIR": "logs",
        "P2C2G_LOG_MEGABYTES": "0.5",
        "P2C2G_LOG_BACKUPS": "7",
        "P2C2G_COORDINATOR_LISTEN_HOST": "::1",
        "P2C2G_COORDINATOR_LISTEN_PORT": "9000",
        "P2C2G_COORDINATOR_DEVELOPMENT": "true",
        "P2C2G_COORDINATOR_DATA": "kept",
        "P2C2G_COORDINATOR_DATABASE_URL": "postgresql://db.example/pool",
        "P2C2G_COORDINATOR_DATABASE_URL_FILE": "url.txt",
        "P2C2G_COORDINATOR_SECRET": "hidden",
        "P2C2G_COORDINATOR_SECRET_FILE": "secret.txt",
        "P2C2G_COORDINATOR_TLS_CERT": "cert.pem",
        "P2C2G_COORDINATOR_TLS_KEY": "key.pem",
        "P2C2G_COORDINATOR_TRUSTED_PROXIES": "10.0.0.0/8, ::1",
        "P2C2G_COORDINATOR_ROOT_PATH": "/pool",
        "P2C2G_COORDINATOR_PUBLIC_URL": "https://pool.example/pool",
        "P2C2G_COORDINATOR_ALLOW_ORIGINS": "https://play.example",
        "P2C2G_COORDINATOR_REQUESTS_PER_MINUTE": "60",
        "P2C2G_COORDINATOR_LOGINS_PER_MINUTE": "5",
        "P2C2G_COORDINATOR_JOINS_PER_MINUTE": "6",
        "P2C2G_COORDINATOR_SESSIONS_PER_ACCOUNT": "2",
        "P2C2G_COORDINATOR_MAX_BODY": "4096",
        "P2C2G_COORDINATOR_MAX_CONNECTIONS": "64",
        "P2C2G_COORDINATOR_LOGIN_HOURS": "1.5",
        "P2C2G_COORDINATOR_BROKER_URL": "rediss://pool.example:6390/0",
        "P2C2G_COORDINATOR_BROKER_CA": "ca.pem",
        "P2C2G_COORDINATOR_LEASE": "60",
        "P2C2G_COORDINATOR_EVIDENCE_PER_MINUTE": "2",
        "P2C2G_COORDINATOR_WATCHERS_PER_SESSION": "3",
        "P2C2G_COORDINATOR_WATCHED_MEGABITS": "1.5",
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
            "remembered_mb": 8,
        },
        "session": {
            "deadline_ms": 33.5,
            "quality": 70,
            "residual_quality": 60,
            "queue": "gpu",
            "policy": "predictive",
            "show_evidence": True,
            "max_up_mbps": 5.0,
            "max_down_mbps": 20.5,
            "metered": True,
        },
        "log": {
            "level": "DEBUG",
            "console": "stdout",
            "one_line": True,
            "dir": Path("logs"),
            "megabytes": 0.5,
            "backups": 7,
        },
        "coordinator": {
            "pool": "own",
            "listen_host": "::1",
            "listen_port": 9000,
            "development": True,
            "data": Path("kept"),
            "database_url": SecretStr("postgresql://db.example/pool"),
            "database_url_file": Path("url.txt"),
            "secret": SecretStr("hidden"),
            "secret_file": Path("secret.txt"),
            "tls_cert": Path("cert.pem"),
            "tls_key": Path("key.pem"),
            "trusted_proxies": "10.0.0.0/8, ::1",
            "root_path": "/pool",
            "public_url": "https://pool.example/pool",
            "allow_origins": "https://play.example",
            "requests_per_minute": 60,
            "logins_per_minute": 5,
            "joins_per_minute": 6,
            "sessions_per_account": 2,
            "max_body": 4096,
            "max_connections": 64,
            "login_hours": 1.5,
            "broker_url": "rediss://pool.example:6390/0",
            "broker_ca": Path("ca.pem"),
            "evidence_per_minute": 2,
            "watchers_per_session": 3,
            "watched_megabits": 1.5,
            "lease": 60.0,
        },
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
        ("P2C2G_SESSION_MAX_UP_MBPS", "0", "greater than or equal to 0.1"),
        ("P2C2G_SESSION_MAX_UP_MBPS", "nan", "finite"),
        ("P2C2G_SESSION_MAX_DOWN_MBPS", "inf", "finite"),
        ("P2C2G_SESSION_MAX_DOWN_MBPS", "5mbit", "valid number"),
        ("P2C2G_SESSION_METERED", "perhaps", "valid boolean"),
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
    monkeypatch.setenv("REDIS_TLS_URL", "rediss://:pw@host:8/1")
    assert load().broker.url == "rediss://:pw@host:8/1"
    assert "REDIS_TLS_URL" in load().broker.named_by
    monkeypatch.setenv("P2C2G_BROKER_URL", "redis://ours")
    assert load().broker.url == "redis://ours"
    assert load().broker.named_by == ""


def test_a_file_can_hold_the_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "broker"
    file.write_text("redis://:pw@host/1\n")
    monkeypatch.setenv("P2C2G_BROKER_URL_FILE", str(file))
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere")
    broker = load().broker
    assert broker.checked_url() == "redis://:pw@host/1"
    file.write_text("http://:pw@host")
    with pytest.raises(UsageError, match=r"\(from P2C2G_BROKER_URL_FILE\) is not") as caught:
        load().broker.checked_url()
    assert "pw" not in str(caught.value)
    monkeypatch.setenv("P2C2G_BROKER_URL", "redis://ours")
    assert load().broker.url == "redis://ours"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 10_000, None])
def test_a_file_that_holds_no_url_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "broker"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("P2C2G_BROKER_URL_FILE", str(file))
    with pytest.raises(UsageError, match="P2C2G_BROKER_URL_FILE names") as caught:
        load()
    assert "\n" not in str(caught.value)


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
        ("redis://secret@h/0", "redis://***@h/0"),  # a user alone most often is a password
        ("redis://user:secret", "redis://user:***"),
        ("redis://:secret/0", "redis://***"),
        ("redis://user:sec/ret?/0", "redis://user:***"),
        ("secret", "***"),
        ("sec://ret@h", "***://***@h"),
        ("127.0.0.1:6379", "127.0.0.1:6379"),
        ("http://broker.example/x", "http://***"),
        ("redis://h/0?sentinel=secret", "redis://h/0?sentinel=***"),
        ("redis://h/0?secret", "redis://h/0?***"),
        ("redis://h/0?db=12&a=se=cret", "redis://h/0?db=12&a=***"),
        ("sentinel://secret@a;sentinel://:secret@b", "sentinel://***@a;sentinel://:***@b"),
        ("sentinels://u:se;cret@a", "sentinels://u:***@a"),
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


SECRETS = st.text(
    st.characters(min_codepoint=33, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12
).map(lambda text: f"Ge{text}im")


@given(
    SECRETS,
    st.sampled_from(["redis", "rediss", "sentinel", "sentinels", "REDIS", "http", "rediz"]),
    st.text("abc", max_size=3),
    st.sampled_from(
        [
            "{scheme}://{user}:{secret}@{host}",
            "{scheme}://{secret}@{host}",
            "{scheme}://{user}:{secret}@{host}?ssl_cert_reqs=none",
            "{scheme}://{user}:{secret}@",
            "{user}:{secret}@{host}",
            "{secret}@{host}",
            "{secret}",
            # Who forgot the host.  A password with an @ is the host then, for anybody.
            "{scheme}://{user}:{bare}",
            "{scheme}://:{bare}/0",
            "{scheme}://{host}?password={bare}",
            "{scheme}://{host}/0?db=1&sentinel_password={bare}",
            "{scheme}://{user}:{secret}@{host};{scheme}://{secret}@{host}",
            "{scheme}://{host};{scheme}://{user}:{secret}@{host}",
        ]
    ),
    st.sampled_from(["h", "h:1", "h:1/0", "h:port", "[::1]:1", "h/games"]),
)
def test_no_part_of_a_password_is_ever_shown(
    secret: str, scheme: str, user: str, form: str, host: str
) -> None:
    bare = secret.replace("@", "")
    url = form.format(secret=secret, bare=bare, scheme=scheme, user=user, host=host)
    if ";" in secret or "&" in secret:
        return  # Where one password ends there is anybody's guess.
    if ":" in secret and ("//{secret}@" in form or form.startswith("{secret}")):
        return  # What stands before a colon is a user.
    said = [redacted(url)]
    try:
        said.append(broker(url).address().shown)
    except UsageError as error:
        said.append(str(error))
    for text in said:
        assert "Ge" not in text, text
        assert "im" not in text.replace("sentinel", ""), text


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
