"""The development authority: identities, private keys, renewal."""

import datetime as dt
import ipaddress
import stat

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from cashier_mesh import certificates
from cashier_mesh.certificates import DevelopmentAuthority


def read(credentials):
    return x509.load_pem_x509_certificate(credentials.certificate.read_bytes())


def names(certificate):
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def usages(certificate):
    return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_a_service_is_known_by_its_uri_and_serves_on_loopback(tmp_path):
    certificate = read(DevelopmentAuthority(tmp_path / "certs").service("router"))

    found = names(certificate)

    uris = found.get_values_for_type(x509.UniformResourceIdentifier)
    assert ["spiffe://cashier.local/service/router"] == uris
    assert ["localhost"] == found.get_values_for_type(x509.DNSName)
    assert [ipaddress.ip_address("127.0.0.1")] == found.get_values_for_type(x509.IPAddress)


def test_a_callers_certificate_can_never_serve(tmp_path):
    authority = DevelopmentAuthority(tmp_path / "certs")

    caller, service = read(authority.client("checkout")), read(authority.service("risk"))

    assert {ExtendedKeyUsageOID.CLIENT_AUTH} == usages(caller)
    assert ExtendedKeyUsageOID.SERVER_AUTH in usages(service)
    assert [] == names(caller).get_values_for_type(x509.DNSName)


def test_every_key_is_for_its_owner_alone(tmp_path):
    folder = tmp_path / "certs"
    DevelopmentAuthority(folder).issue(["router"], ["checkout"])

    keys = sorted(folder.glob("*.key"))

    assert ["authority.key", "client-checkout.key", "service-router.key"] == [k.name for k in keys]
    assert {0o600} == {stat.S_IMODE(key.stat().st_mode) for key in keys}


def test_a_second_start_keeps_what_is_still_good(tmp_path):
    first = DevelopmentAuthority(tmp_path / "certs").service("router").certificate.read_bytes()

    again = DevelopmentAuthority(tmp_path / "certs").service("router").certificate.read_bytes()

    assert first == again


@pytest.mark.parametrize("age", [dt.timedelta(days=16), dt.timedelta(days=40)])
def test_a_certificate_past_half_of_its_life_is_renewed(tmp_path, monkeypatch, age):
    old = read(DevelopmentAuthority(tmp_path / "certs").service("router"))
    today = dt.datetime.now(dt.UTC) + age
    monkeypatch.setattr(certificates, "_now", lambda: today)

    new = read(DevelopmentAuthority(tmp_path / "certs").service("router"))

    assert old.serial_number != new.serial_number
    assert new.not_valid_after_utc > today + dt.timedelta(days=29)


def test_a_new_authority_reissues_what_the_old_one_signed(tmp_path):
    old = DevelopmentAuthority(tmp_path / "certs").service("router").certificate.read_bytes()
    (tmp_path / "certs" / "authority.key").unlink()

    authority = DevelopmentAuthority(tmp_path / "certs")
    new = authority.service("router")

    assert old != new.certificate.read_bytes()
    read(new).verify_directly_issued_by(
        x509.load_pem_x509_certificate(authority.certificate_file.read_bytes())
    )


def test_a_half_written_pair_is_made_anew(tmp_path):
    credentials = DevelopmentAuthority(tmp_path / "certs").service("router")
    credentials.private_key.write_bytes(credentials.private_key.read_bytes()[:40])

    read(DevelopmentAuthority(tmp_path / "certs").service("router"))

    assert b"END PRIVATE KEY" in credentials.private_key.read_bytes()
