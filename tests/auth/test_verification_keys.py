"""Which keys of an issuer's set count: those that were made for it, for this algorithm, and are strong enough."""

from __future__ import annotations

import base64
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ironforge.auth.tokens import Tokens
from ironforge.auth.verification_key import FAMILIES, Family, read
from ironforge.errors import ConfigError, Unauthenticated
from tests.auth.test_tokens import EC, ED, RSA, SECRET, claims, forged, jwk, token, trusting

SMALL_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)
P384 = ec.generate_private_key(ec.SECP384R1())
KEYS: dict[Family, Any] = {"RS": RSA, "PS": RSA, "ES": EC, "EdDSA": ED, "HS": SECRET}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "said",
    [
        {"use": "enc"},
        {"use": None},
        {"use": ["sig"]},
        {"key_ops": ["encrypt", "wrapKey"]},
        {"key_ops": ["sign"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"key_ops": None},
        {"use": "enc", "key_ops": ["verify"]},
        {"use": "sig", "key_ops": ["sign"]},
        {"alg": "RSA-OAEP"},
        {"alg": "none"},
        {"alg": ["RS256"]},
        {"kid": 7},
        {"kid": ["one"]},
        {"kty": "AKP"},
        {"kty": None},
    ],
    ids=str,
)
def test_a_key_for_other_purposes_verifies_nothing(family: Family, said: dict[str, Any]) -> None:
    entry = {**jwk(KEYS[family], "one"), **said}

    with pytest.raises(ValueError, match=r"its (use|key_ops|alg|kid|kty)"):
        read(entry, family)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("said", [{}, {"use": "sig"}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}])
def test_a_key_to_verify_with_counts(family: Family, said: dict[str, Any]) -> None:
    assert read({**jwk(KEYS[family], "one"), **said}, family).id == "one"


@pytest.mark.parametrize(
    ("key", "family", "algorithms"),
    [
        (RSA, "RS", ("RS256", "RS384", "RS512")),
        (RSA, "PS", ("PS256", "PS384", "PS512")),
        (EC, "ES", ("ES256",)),
        (P384, "ES", ("ES384",)),
        (ec.generate_private_key(ec.SECP521R1()), "ES", ("ES512",)),
        (ED, "EdDSA", ("EdDSA",)),
        (bytes(64), "HS", ("HS256", "HS384", "HS512")),
        (bytes(63), "HS", ("HS256", "HS384")),
        (bytes(48), "HS", ("HS256", "HS384")),
        (bytes(32), "HS", ("HS256",)),
    ],
)
def test_it_verifies_what_it_is_strong_enough_for(key: Any, family: Family, algorithms: tuple[str, ...]) -> None:
    assert read(jwk(key, "one"), family).algorithms == algorithms
    assert read({**jwk(key, "one"), "alg": algorithms[-1]}, family).algorithms == (algorithms[-1],)


@pytest.mark.parametrize(
    ("entry", "family", "says"),
    [
        (jwk(SMALL_RSA, "one"), "RS", "1024 bits, at least 2048"),
        (jwk(SMALL_RSA, "one"), "PS", "1024 bits, at least 2048"),
        ({**jwk(P384, "one"), "alg": "ES256"}, "ES", "curve is secp384r1, ES256 needs secp256r1"),
        (jwk(ec.generate_private_key(ec.SECP256K1()), "one"), "ES", "curve is secp256k1"),
        (jwk(bytes(31), "one"), "HS", "31 bytes, HS256 needs at least 32"),
        ({**jwk(bytes(63), "one"), "alg": "HS512"}, "HS", "63 bytes, HS512 needs at least 64"),
        ({**jwk(bytes(32), "one"), "alg": "HS384"}, "HS", "32 bytes, HS384 needs at least 48"),
        ({**jwk(RSA, "one"), "alg": "PS256"}, "RS", "alg is 'PS256'"),
        (jwk(RSA, "one"), "ES", "kty is 'RSA', not 'EC'"),
        (jwk(SECRET, "one"), "RS", "kty is 'oct', not 'RSA'"),
        ({"kty": "OKP", "crv": "X25519", "x": "A" * 43}, "EdDSA", "X25519"),
        ({"kty": "RSA", "n": "?", "e": "AQAB"}, "RS", "."),
        ("text", "RS", "no JSON object"),
    ],
)
def test_what_is_too_weak_or_does_not_fit_is_told(entry: Any, family: Family, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read(entry, family)


async def test_a_token_of_a_stronger_hash_than_its_secret_does_not_count(tmp_path: Path) -> None:
    tokens = trusting(tmp_path, jwk(bytes(32), "one"), family="HS")
    assert await tokens.caller(token(bytes(32), "HS256"))
    text = forged({"alg": "HS512", "kid": "one"}, claims()).rpartition(".")[0]
    seal = base64.urlsafe_b64encode(hmac.digest(bytes(32), text.encode(), "sha512")).decode().rstrip("=")
    by_hand = f"{text}.{seal}"
    with pytest.raises(Unauthenticated):
        await tokens.caller(by_hand)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ([jwk(bytes(31), "weak")], "31 bytes, HS256 needs at least 32"),
        ([jwk(SECRET, "one"), jwk(b"", "two")], "must not be empty"),
        ([jwk(RSA, "one")], "not 'oct'"),
        ([], "no key"),
        ("no list", "no key"),
    ],
)
def test_secrets_that_cannot_be_used_are_refused_at_the_start(tmp_path: Path, keys: Any, says: str) -> None:
    trusting(tmp_path, jwk(SECRET, "one"), family="HS")
    (tmp_path / "keys.json").write_text(json.dumps({"keys": keys}))
    with pytest.raises(ConfigError, match=says) as caught:
        trusting_again(tmp_path)
    assert "keys.json" in str(caught.value)


def test_secrets_that_cannot_be_read_are_refused_at_the_start(tmp_path: Path) -> None:
    trusting(tmp_path, jwk(SECRET, "one"), family="HS")
    (tmp_path / "keys.json").unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        trusting_again(tmp_path)


def trusting_again(folder: Path) -> None:
    Tokens.load(str(folder / "issuers.toml"))
