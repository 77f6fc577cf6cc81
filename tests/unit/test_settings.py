"""Settings that cannot be used are refused in sentences that name the variable and the way out."""

import pytest

from cashier_common.settings import Environment, ServiceSettings, SettingsRefused, load


@pytest.fixture
def environment(monkeypatch):
    def change(**values):
        for name, value in values.items():
            monkeypatch.setenv(f"CASHIER_{name}", value)

    return change


def refused():
    with pytest.raises(SettingsRefused) as raised:
        load(ServiceSettings)
    return str(raised.value)


def test_production_is_the_default_and_secrets_do_not_show(environment):
    environment(DATABASE_URL="postgresql://app:hunter2@127.0.0.1/router", REDIS_URL="")

    settings = load(ServiceSettings)

    assert Environment.PRODUCTION is settings.environment
    assert "hunter2" not in repr(settings)
    assert settings.need("database_url").endswith("/router")


def test_plaintext_is_refused_off_loopback(environment):
    environment(PLAINTEXT="true", LISTEN="0.0.0.0:7401")

    text = refused()

    assert "CASHIER_PLAINTEXT is set while CASHIER_LISTEN is 0.0.0.0:7401" in text
    assert "listen on 127.0.0.1" in text


@pytest.mark.parametrize("listen", ["127.0.0.1:7401", "localhost:7401", "[::1]:7401"])
def test_plaintext_is_allowed_on_loopback(environment, listen):
    environment(PLAINTEXT="true", LISTEN=listen)

    assert load(ServiceSettings).tls() is None


def test_fail_points_are_refused_outside_development(environment):
    environment(FAILPOINTS="submit:kill")

    assert "CASHIER_FAILPOINTS is set while CASHIER_ENVIRONMENT is production" in refused()

    environment(ENVIRONMENT="development")
    assert "submit:kill" == load(ServiceSettings).failpoints


@pytest.mark.parametrize("listen", ["7401", "127.0.0.1", "127.0.0.1:99999", "a b:1", "::1:7401"])
def test_an_address_is_host_and_port(environment, listen):
    environment(LISTEN=listen)

    assert f"CASHIER_LISTEN cannot be used: it is {listen}, and must be host:port" in refused()


def test_every_fault_is_told_at_once(environment):
    environment(LISTEN="nowhere", LOG_LEVEL="loud", TRACE_SAMPLE_RATIO="2")

    text = refused()

    assert ["LISTEN", "TRACE_SAMPLE_RATIO", "LOG_LEVEL"] == [
        line.split()[0].removeprefix("CASHIER_") for line in text.splitlines()
    ]


def test_a_refused_secret_is_not_repeated(environment):
    environment(PLAINTEXT_CALLER="hunter2", DATABASE_URL="postgresql://app:s3cret@h/d")

    assert "s3cret" not in refused()


def test_missing_certificates_are_named_with_the_way_out(environment, tmp_path):
    environment(TLS_CERTIFICATE=str(tmp_path / "none.pem"))

    with pytest.raises(SettingsRefused) as raised:
        load(ServiceSettings).tls()

    text = str(raised.value)
    assert "none.pem, and there is no such file" in text
    assert "CASHIER_TLS_PRIVATE_KEY is not set" in text
    assert "CASHIER_PLAINTEXT=true" in text


def test_the_table_lists_each_setting_once_and_no_secret_default():
    table = ServiceSettings.describe()

    for name in ServiceSettings.model_fields:
        assert 1 == table.count(f"| `CASHIER_{name.upper()}` |")
    assert "*****" not in table
