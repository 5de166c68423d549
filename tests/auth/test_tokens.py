"""JSON Web Tokens: the one that counts, and every way in which one may not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from ironforge.auth.tokens import LATEST_MS, Tokens
from ironforge.errors import ConfigError, Unauthenticated
from tests.auth.conftest import Build

ISSUER = "https://id.example.com/"
AUDIENCE = "ironforge"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
SECRET = bytes(range(64))
PUBLIC_PEM = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def jwk(key: Any, kid: str) -> dict[str, Any]:
    if isinstance(key, bytes):
        return {"kty": "oct", "k": base64.urlsafe_b64encode(key).decode().rstrip("="), "kid": kid}
    algorithm = {rsa.RSAPrivateKey: "RS256", ec.EllipticCurvePrivateKey: "ES256"}.get(
        next((kind for kind in (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey) if isinstance(key, kind)), None), "EdDSA"
    )
    return {**json.loads(jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key())), "kid": kid}


def claims(**changes: Any) -> dict[str, Any]:
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": int(time.time()) + 60,
        "sub": "ada",
        "ironforge_namespace": "home",
        "scope": "jobs:read jobs:submit profile",
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def token(key: Any = RSA, algorithm: str = "RS256", kid: str | None = "one", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm, headers={"kid": kid} if kid else {})


def trusting(folder: Path, *keys: dict[str, Any], family: str = "RS", extra: str = "") -> Tokens:
    (folder / "keys.json").write_text(json.dumps({"keys": keys or (jwk(RSA, "one"),)}))
    (folder / "issuers.toml").write_text(
        f'[[issuer]]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\nfamily = "{family}"\n'
        f'jwks_file = "keys.json"\n{extra}'
    )
    return Tokens.load(str(folder / "issuers.toml"))


async def refused(tokens: Tokens, text: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await tokens.caller(text)
    assert "home" not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize(
    ("family", "algorithm", "key"),
    [
        ("RS", "RS256", RSA),
        ("RS", "RS512", RSA),
        ("PS", "PS256", RSA),
        ("ES", "ES256", EC),
        ("EdDSA", "EdDSA", ED),
        ("HS", "HS512", SECRET),
    ],
)
async def test_a_good_token_becomes_a_caller(tmp_path: Path, family: str, algorithm: str, key: Any) -> None:
    tokens = trusting(tmp_path, jwk(key, "one"), family=family)
    caller = await tokens.caller(token(key, algorithm, ironforge_queues=["a"]))

    assert caller.namespace == "home"
    assert caller.scopes == {"jobs:read", "jobs:submit"}
    assert caller.queues == frozenset("a")
    assert caller.identity == f"jwt:{ISSUER}#ada"
    assert (await tokens.caller(token(key, algorithm, kid=None))).queues is None
    assert (await tokens.caller(token(key, algorithm, sub=None))).identity == f"jwt:{ISSUER}#"


async def test_scopes_may_be_a_list_and_the_namespace_fixed(tmp_path: Path) -> None:
    tokens = trusting(tmp_path, extra='namespace = "fixed"\nscopes_claim = "roles"\n')
    caller = await tokens.caller(token(roles=["jobs:read", "root", 7], ironforge_namespace="other"))

    assert caller.namespace == "fixed"
    assert caller.scopes == {"jobs:read"}


def forged(header: dict[str, Any], body: dict[str, Any], secret: bytes = b"") -> str:
    def part(value: bytes) -> bytes:
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    text = part(json.dumps(header).encode()) + b"." + part(json.dumps(body).encode())
    return (text + b"." + part(hmac.digest(secret, text, hashlib.sha256) if secret else b"")).decode()


def forged_well(**changes: Any) -> str:
    """Signed by the issuer, with claims that `jwt.encode` would not take."""
    header = {"alg": "RS256", "kid": "one"}
    text = forged(header, {**claims(), **changes}).rpartition(".")[0]
    signature = RSA.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


BAD: dict[str, Any] = {
    "alg none": lambda: forged({"alg": "none", "kid": "one"}, claims()),
    "alg None": lambda: forged({"alg": "None", "kid": "one"}, claims()),
    "HS256 with the public key": lambda: forged({"alg": "HS256", "kid": "one"}, claims(), PUBLIC_PEM),
    "HS256 with the JWK": lambda: forged(
        {"alg": "HS256", "kid": "one"}, claims(), json.dumps(jwk(RSA, "one")).encode()
    ),
    "another family": lambda: token(RSA, "PS256"),
    "another curve": lambda: token(EC, "ES256"),
    "another key": lambda: token(OTHER_RSA),
    "no signature": lambda: token().rpartition(".")[0] + ".",
    "changed claims": lambda: ".".join(
        (token().split(".")[0], token(ironforge_namespace="x").split(".")[1], token().split(".")[2])
    ),
    "wrong aud": lambda: token(aud="other"),
    "no aud": lambda: token(aud=None),
    "wrong iss": lambda: token(iss="https://evil.example/"),
    "iss is a list": lambda: forged({"alg": "RS256", "kid": "one"}, claims(iss=[ISSUER])),
    "no iss": lambda: token(iss=None),
    "no exp": lambda: token(exp=None),
    "exp is a text": lambda: forged({"alg": "RS256", "kid": "one"}, claims(exp="tomorrow")),
    "not yet": lambda: token(nbf=int(time.time()) + 600),
    "kid is a path": lambda: token(kid="../../../../dev/null"),
    "kid is a query": lambda: token(kid="one' OR '1'='1"),
    "kid with a newline": lambda: token(kid="one\n"),
    "kid is a number": lambda: forged({"alg": "RS256", "kid": 1}, claims()),
    "unknown kid": lambda: token(kid="two"),
    "its own key": lambda: jwt.encode(
        claims(), OTHER_RSA, "RS256", headers={"jwk": jwk(OTHER_RSA, "one"), "jku": "https://evil.example/", "kid": "z"}
    ),
    "no namespace": lambda: token(ironforge_namespace=None),
    "namespace is no name": lambda: token(ironforge_namespace="{x}"),
    "namespace is the ring": lambda: token(ironforge_namespace="@auth"),
    "namespace is a list": lambda: token(ironforge_namespace=["home"]),
    "queues are a text": lambda: token(ironforge_queues="all"),
    "queues are null": lambda: forged_well(ironforge_queues=None),
    "queues are none": lambda: token(ironforge_queues=[]),
    "a queue is no name": lambda: token(ironforge_queues=["a", "b\n"]),
    "a queue is null": lambda: token(ironforge_queues=[None]),
    "too many queues": lambda: token(ironforge_queues=[f"q{n}" for n in range(101)]),
    "sub is half a character": lambda: forged_well(sub="ada\ud800"),
    "sub is null": lambda: forged_well(sub=None),
    "sub is a number": lambda: forged_well(sub=7),
    "sub is empty": lambda: token(sub=""),
    "sub is long": lambda: token(sub="a" * 256),
    "sub has control characters": lambda: token(sub="ada\x1b[2J"),
    "sub turns the direction": lambda: token(sub="ada\u202egnp"),
    "sub has two lines": lambda: token(sub="ada\u2028root"),
    "scopes are null": lambda: forged_well(scope=None),
    "scopes are an object": lambda: token(scope={"jobs:read": True}),
    "exp is endless": lambda: forged_well(exp=float("inf")),
    "exp is a number in a text": lambda: forged_well(exp="9999999999"),
    "crit": lambda: jwt.encode(claims(), RSA, "RS256", headers={"kid": "one", "crit": ["b64"], "b64": False}),
    "not a token": lambda: "a.b.c",
    "empty parts": lambda: "..",
    "no json": lambda: "eyJ.eyJ.eyJ",
    "NUL": lambda: "\0" * 50,
    "deep": lambda: (
        forged({"alg": "RS256"}, {}).split(".")[0]
        + "."
        + base64.urlsafe_b64encode(b"[" * 50_000).decode().rstrip("=")
        + ".AAAA"
    ),
    "deep header": lambda: base64.urlsafe_b64encode(b"[" * 5_000).decode().rstrip("=") + ".e30.AAAA",
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_token_does_not_count(tmp_path: Path, name: str) -> None:
    assert await refused(trusting(tmp_path), BAD[name]()) == "invalid_token"


async def test_a_token_that_was_good_says_that_it_has_expired(tmp_path: Path) -> None:
    tokens = trusting(tmp_path)

    assert await refused(tokens, token(exp=int(time.time()) - 31)) == "token_expired"
    assert await tokens.caller(token(exp=int(time.time()) - 1)), "within the leeway"


async def test_a_token_may_last_longer_than_any_number_says(tmp_path: Path) -> None:
    caller = await trusting(tmp_path).caller(forged_well(exp=10**400))

    assert caller.expires_ms == LATEST_MS


async def test_a_key_of_the_wrong_type_is_passed_over(tmp_path: Path) -> None:
    """A secret among the public keys of an issuer must not let anybody sign with it."""
    tokens = trusting(tmp_path, jwk(SECRET, "one"), jwk(RSA, "two"))

    assert await refused(tokens, token(SECRET, "HS256")) == "invalid_token"
    assert await refused(tokens, token(RSA, kid="one")) == "invalid_token"
    assert await tokens.caller(token(RSA, kid="two"))


# --------------------------------------------------------------------------- its configuration, and the API


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[issuer", "issuers.toml"),
        ("", "issuer"),
        ('[[issuer]]\nissuer = "x"\naudience = "y"\nfamily = "none"\n', "none"),
        ('[[issuer]]\nissuer = "x"\naudience = "y"\nfamily = "RS"\n', "either jwks_url or jwks_file"),
        ('[[issuer]]\nissuer = ""\naudience = "y"\nfamily = "RS"\njwks_file = "k"\n', "must not be empty"),
        ('[[issuer]]\nissuer = "x"\naudience = "y"\nfamily = "RS"\njwks_url = "http://id.example/"\n', "https"),
        ('[[issuer]]\nissuer = "x"\naudience = "y"\nfamily = "RS"\njwks_url = "file:///etc/passwd"\n', "https"),
        ('[[issuer]]\nissuer = "x"\naudience = "y"\nfamily = "RS"\njwks_url = "https://id:99999/"\n', "port 99999"),
        (
            '[[issuer]]\nissuer = "x"\naudience = "y"\nfamily = "RS"\njwks_url = "https://u:pw@id/"\n',
            "a password, which",
        ),
        ('[[issuer]]\nissuer = "x"\naudience = "y"\nfamily = "RS"\njwks_url = "https://[::1/"\n', "a host is missing"),
        ('[[issuer]]\nissuer = "x"\naudience = "y"\nfamily = "HS"\njwks_url = "https://id.example/"\n', "fetched"),
        (
            '[[issuer]]\nissuer = "x"\naudience = "y"\nfamily = "RS"\njwks_file = "k"\nleeway_seconds = 61.0\n',
            "leeway_seconds 61",
        ),
        (2 * '[[issuer]]\nissuer = "x"\naudience = "y"\nfamily = "RS"\njwks_file = "k"\n', "twice"),
        ('[[issuer]]\nissuer = "x"\naudience = "y"\nfamily = "RS"\nalgorithms = ["HS256"]\n', "algorithms"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "issuers.toml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        Tokens.load(str(tmp_path / "issuers.toml"))
    with pytest.raises(ConfigError, match="cannot be read"):
        Tokens.load(str(tmp_path / "nothing.toml"))


async def test_the_api_lets_tokens_in(tmp_path: Path, settings: Any, build: Build) -> None:
    import msgspec

    trusting(tmp_path)
    house = await build(msgspec.structs.replace(settings, jwt_issuers=str(tmp_path / "issuers.toml")))
    good = token(ironforge_namespace=house.namespace)

    await house.submit(good)
    assert len((await house.call("GET", "/jobs", good)).body["jobs"]) == 1
    assert (await house.call("GET", "/jobs", token(ironforge_namespace=house.namespace + "x"))).body["jobs"] == []
    lacking = await house.call("GET", "/metrics", good)
    assert lacking.status == 403
    assert lacking.code == "missing_scope"
    answer = await house.call("GET", "/jobs", BAD["alg none"]())
    assert answer.status == 401
    assert answer.code == "invalid_token"
