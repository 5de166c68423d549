"""What a JSON Web Key of an issuer may verify: only what it was made for, and is strong enough for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

Family = Literal["RS", "PS", "ES", "EdDSA", "HS"]

FAMILIES: Final[dict[Family, tuple[str, ...]]] = {
    "RS": ("RS256", "RS384", "RS512"),
    "PS": ("PS256", "PS384", "PS512"),
    "ES": ("ES256", "ES384", "ES512"),
    "EdDSA": ("EdDSA",),
    "HS": ("HS256", "HS384", "HS512"),
}
MIN_RSA_BITS: Final = 2048

_TYPES: Final[dict[Family, str]] = {"RS": "RSA", "PS": "RSA", "ES": "EC", "EdDSA": "OKP", "HS": "oct"}
_CURVES: Final = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
# A secret that is shorter than the hash is easier to guess than the hash.
_SECRET_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}


class VerificationKey(NamedTuple):
    """`algorithms`: those of the family that this key may verify."""

    id: str | None
    key: Any
    algorithms: tuple[str, ...]


def read(entry: object, family: Family) -> VerificationKey:
    """Raises ValueError saying why the entry of a key set is no key to verify this family's signatures with."""
    if not isinstance(entry, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - of what is read, not of a call
    _check_purpose(entry, family)
    algorithms = FAMILIES[family]
    named = entry.get("alg")
    if named is not None:
        if named not in algorithms:
            raise ValueError(f"its alg is {named!r}, not one of {', '.join(algorithms)}")
        algorithms = (named,)
    try:
        # Without `alg`: what the key is says its type, not what the entry says of it.
        key = jwt.PyJWK({name: value for name, value in entry.items() if name != "alg"})
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise ValueError(str(error) or type(error).__name__) from None
    strong = tuple(name for name in algorithms if _is_strong_enough(key.key, name))
    if not strong:
        raise ValueError(_weakness(key.key, algorithms[0]))
    return VerificationKey(key.key_id, key.key, strong)


def _check_purpose(entry: Mapping[str, Any], family: Family) -> None:
    if entry.get("kty") != _TYPES[family]:
        raise ValueError(f"its kty is {entry.get('kty')!r}, not {_TYPES[family]!r}")
    if entry.get("use", "sig") != "sig":
        raise ValueError(f"its use is {entry['use']!r}, not 'sig'")
    allowed = entry.get("key_ops", ["verify"])
    if not isinstance(allowed, list) or "verify" not in allowed:
        raise ValueError(f"its key_ops are {allowed!r}, without 'verify'")
    if type(entry.get("kid", "")) is not str:
        raise ValueError(f"its kid is {entry['kid']!r}, no text")


def _is_strong_enough(key: Any, algorithm: str) -> bool:
    match key:
        case bytes():
            return len(key) >= _SECRET_BYTES[algorithm]
        case RSAPublicKey() | RSAPrivateKey():
            return key.key_size >= MIN_RSA_BITS
        case EllipticCurvePublicKey() | EllipticCurvePrivateKey():
            return key.curve.name == _CURVES[algorithm]
    return True


def _weakness(key: Any, algorithm: str) -> str:
    if isinstance(key, bytes):
        return f"its secret has {len(key)} bytes, {algorithm} needs at least {_SECRET_BYTES[algorithm]}"
    if isinstance(key, RSAPublicKey | RSAPrivateKey):
        return f"it has {key.key_size} bits, at least {MIN_RSA_BITS} are needed"
    return f"its curve is {key.curve.name}, {algorithm} needs {_CURVES[algorithm]}"
