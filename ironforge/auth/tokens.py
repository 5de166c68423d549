"""JSON Web Tokens: from the claims of an issuer that is trusted to a caller.

An issuer is trusted for one family of algorithms, fixed in its configuration: what a token says about its own
algorithm only picks inside it, and where a token says its key can be fetched is never read.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

import jwt
import msgspec

from ironforge.auth.caller import SCOPES, Caller
from ironforge.auth.jwks import Jwks, check_url
from ironforge.config import NAME, environment_name
from ironforge.errors import ConfigError, Unauthenticated
from ironforge.telemetry import get_logger

FAMILIES: Final[dict[str, tuple[str, ...]]] = {
    "RS": ("RS256", "RS384", "RS512"),
    "PS": ("PS256", "PS384", "PS512"),
    "ES": ("ES256", "ES384", "ES512"),
    "EdDSA": ("EdDSA",),
    "HS": ("HS256", "HS384", "HS512"),
}
LONGEST_LEEWAY_SECONDS: Final = 60.0
SHOWN_CHARACTERS: Final = 100

_log = get_logger(__name__)


class Issuer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[issuer]]` of the file. Its keys come from `jwks_url`, or from the file `jwks_file`.

    `namespace` fixes the namespace of all its callers; without it the claim `namespace_claim` names it.
    `scopes_claim` is a list, or words in one text; `queues_claim` is optional in a token.
    """

    issuer: str
    audience: str
    family: Literal["RS", "PS", "ES", "EdDSA", "HS"]
    jwks_url: str = ""
    jwks_file: str = ""
    namespace: str = ""
    namespace_claim: str = "ironforge_namespace"
    scopes_claim: str = "scope"
    queues_claim: str = "ironforge_queues"
    leeway_seconds: float = 30.0


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    issuer: list[Issuer]


class Tokens:
    """All issuers that are trusted."""

    def __init__(self, issuers: Sequence[Issuer], folder: Path) -> None:
        self._issuers = {
            issuer.issuer: (issuer, Jwks(issuer.jwks_url or folder / issuer.jwks_file, symmetric=issuer.family == "HS"))
            for issuer in issuers
        }

    @classmethod
    def load(cls, path: str) -> Tokens:
        """Raises ConfigError naming what is wrong in the file."""
        where = f"{environment_name('jwt_issuers')}={path}"
        try:
            file = msgspec.convert(tomllib.loads(Path(path).read_text(encoding="utf-8")), _File)
        except OSError as error:
            raise ConfigError(f"{where} cannot be read: {error.strerror}") from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise ConfigError(f"{where}: {error}") from None
        for issuer in file.issuer:
            _check(where, issuer)
        if len({issuer.issuer for issuer in file.issuer}) != len(file.issuer):
            raise ConfigError(f"{where} names an issuer twice: one family of algorithms an issuer")
        return cls(file.issuer, Path(path).parent)

    async def caller(self, token: str) -> Caller:
        """Raises Unauthenticated; why is in the log alone."""
        try:
            header = jwt.get_unverified_header(token)
            unverified = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})
        except (jwt.PyJWTError, RecursionError) as error:
            _refuse(f"not a token: {error}")
        named = unverified.get("iss")
        known = self._issuers.get(named) if isinstance(named, str) else None
        if known is None:
            _refuse(f"no trusted issuer: {named!r}")
        issuer, jwks = known
        key = await jwks.key(header.get("kid"))
        if key is None:
            _refuse(f"{issuer.issuer} has no usable key {header.get('kid')!r}")
        return _to_caller(issuer, _verified(token, issuer, key))

    async def close(self) -> None:
        for _, jwks in self._issuers.values():
            await jwks.close()


def _verified(token: str, issuer: Issuer, key: jwt.PyJWK) -> dict[str, Any]:
    try:
        return jwt.decode(
            token,
            key.key,  # not the JWK: it would use the usual algorithm of its type, whatever the family is
            algorithms=list(FAMILIES[issuer.family]),
            audience=issuer.audience,
            issuer=issuer.issuer,
            leeway=issuer.leeway_seconds,
            options={"require": ["exp", "iss", "aud"]},
        )
    except jwt.ExpiredSignatureError:
        raise Unauthenticated("the token has expired: get a new one from its issuer", code="token_expired") from None
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        _refuse(f"{type(error).__name__}: {error}")


def _to_caller(issuer: Issuer, claims: Mapping[str, Any]) -> Caller:
    namespace = issuer.namespace or claims.get(issuer.namespace_claim)
    if not isinstance(namespace, str) or not NAME.match(namespace):
        _refuse(f"the claim {issuer.namespace_claim} names no namespace: {namespace!r}")
    queues = claims.get(issuer.queues_claim)
    if queues is not None and not (isinstance(queues, list) and all(isinstance(queue, str) for queue in queues)):
        _refuse(f"the claim {issuer.queues_claim} is no list of queues")
    scopes = claims.get(issuer.scopes_claim, [])
    words = scopes.split() if isinstance(scopes, str) else scopes
    given = {word for word in words if isinstance(word, str)} if isinstance(words, list) else set()
    subject = str(claims.get("sub", ""))[:SHOWN_CHARACTERS]
    return Caller(
        namespace,
        frozenset(given.intersection(SCOPES)),
        f"jwt:{issuer.issuer[:SHOWN_CHARACTERS]}#{subject}",
        None if queues is None else frozenset(queues),
    )


def _check(where: str, issuer: Issuer) -> None:
    what = f"{where}, issuer {issuer.issuer!r}"
    if not issuer.issuer or not issuer.audience:
        raise ConfigError(f"{what}: issuer and audience must not be empty")
    if bool(issuer.jwks_url) == bool(issuer.jwks_file):
        raise ConfigError(f"{what}: give either jwks_url or jwks_file")
    if issuer.family == "HS" and issuer.jwks_url:
        raise ConfigError(f"{what}: the secret of family HS must not be fetched, use jwks_file")
    if issuer.jwks_url:
        check_url(what, issuer.jwks_url)
    if not 0 <= issuer.leeway_seconds <= LONGEST_LEEWAY_SECONDS:
        raise ConfigError(f"{what}: leeway_seconds {issuer.leeway_seconds:g} is out of range: 0 to 60")
    if issuer.namespace and not NAME.match(issuer.namespace):
        raise ConfigError(f"{what}: namespace {issuer.namespace!r} is not a name")


def _refuse(reason: str) -> NoReturn:
    _log.info("token refused", reason=reason[:500])
    raise Unauthenticated("the token does not count: get a new one from its issuer", code="invalid_token")
