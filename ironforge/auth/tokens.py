"""JSON Web Tokens: from the claims of an issuer that is trusted to a caller.

An issuer is trusted for one family of algorithms, fixed in its configuration: what a token says about its own
algorithm only picks inside it, and where a token says its key can be fetched is never read.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import jwt
import msgspec

from ironforge.auth.caller import MAX_QUEUES, SCOPES, Caller
from ironforge.auth.jwks import Jwks, check_secrets, check_url
from ironforge.auth.verification_key import Family, VerificationKey
from ironforge.errors import ConfigError, Unauthenticated
from ironforge.formats.numbers import shown
from ironforge.logs.setup import get_logger
from ironforge.settings import NAME, environment_name

LONGEST_LEEWAY_SECONDS: Final = 60.0
# Of an issuer and of a subject: they name a caller in the log and in the audit trail, unabridged.
MAX_CHARACTERS: Final = 255
# The year 9999: no later time can be shown.
LATEST_MS: Final = 253_402_300_799_000

_log = get_logger(__name__)


class Issuer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[issuer]]` of the file. Its keys come from `jwks_url`, or from the file `jwks_file`.

    `namespace` fixes the namespace of all its callers; without it the claim `namespace_claim` names it.
    `scopes_claim` is a list, or words in one text; `queues_claim` is optional in a token.
    """

    issuer: str
    audience: str
    family: Family
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
            issuer.issuer: (issuer, Jwks(issuer.jwks_url or folder / issuer.jwks_file, family=issuer.family))
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
        folder = Path(path).parent
        for issuer in file.issuer:
            _check(where, issuer, folder)
        if len({issuer.issuer for issuer in file.issuer}) != len(file.issuer):
            raise ConfigError(f"{where} names an issuer twice: one family of algorithms an issuer")
        return cls(file.issuer, folder)

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


def _verified(token: str, issuer: Issuer, key: VerificationKey) -> dict[str, Any]:
    try:
        return jwt.decode(
            token,
            key.key,
            algorithms=list(key.algorithms),
            audience=issuer.audience,
            issuer=issuer.issuer,
            leeway=issuer.leeway_seconds,
            options={"require": ["exp", "iss", "aud"]},
        )
    except jwt.ExpiredSignatureError:
        raise Unauthenticated("the token has expired: get a new one from its issuer", code="token_expired") from None
    except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError) as error:
        _refuse(f"{type(error).__name__}: {error}")


def _to_caller(issuer: Issuer, claims: Mapping[str, Any]) -> Caller:
    namespace = issuer.namespace or claims.get(issuer.namespace_claim)
    if not isinstance(namespace, str) or not NAME.match(namespace):
        _refuse(f"the claim {issuer.namespace_claim} names no namespace: {namespace!r}")
    return Caller(
        namespace,
        _scopes(issuer.scopes_claim, claims.get(issuer.scopes_claim, [])),
        f"jwt:{issuer.issuer}#{_subject(claims)}",
        _queues(issuer.queues_claim, claims[issuer.queues_claim]) if issuer.queues_claim in claims else None,
        expires_ms=_expiry_ms(claims["exp"]),
    )


def _subject(claims: Mapping[str, Any]) -> str:
    """Goes into the audit trail: what it cannot hold, or nobody could read there, names nobody."""
    if "sub" not in claims:
        return ""
    subject = claims["sub"]
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_CHARACTERS or not subject.isprintable():
        _refuse(f"the claim sub is not 1 to {MAX_CHARACTERS} printable characters: {subject!r}")
    return subject


def _scopes(claim: str, scopes: object) -> frozenset[str]:
    """Words that are no scopes are passed over: an issuer may have others for other services."""
    words = scopes.split() if isinstance(scopes, str) else scopes
    if not isinstance(words, list):
        _refuse(f"the claim {claim} is no list of scopes: {scopes!r}")
    return frozenset(scope for scope in SCOPES if scope in words)


def _queues(claim: str, queues: object) -> frozenset[str]:
    names = queues if isinstance(queues, list) else []
    if not 1 <= len(names) <= MAX_QUEUES or not all(isinstance(name, str) and NAME.match(name) for name in names):
        _refuse(f"the claim {claim} is no list of 1 to {MAX_QUEUES} queues: {queues!r}; without it: all")
    return frozenset(names)


def _expiry_ms(expires: object) -> int:
    # Compared and not converted: no float holds an integer of 400 digits.
    if not isinstance(expires, int | float) or not -math.inf < expires < math.inf:
        _refuse(f"the claim exp is no time: {expires!r}")
    return round(min(expires, LATEST_MS / 1000) * 1000)


def _check(where: str, issuer: Issuer, folder: Path) -> None:
    what = f"{where}, issuer {issuer.issuer!r}"
    if not issuer.issuer or not issuer.audience:
        raise ConfigError(f"{what}: issuer and audience must not be empty")
    if len(issuer.issuer) > MAX_CHARACTERS or not issuer.issuer.isprintable():
        raise ConfigError(f"{what}: issuer must be at most {MAX_CHARACTERS} printable characters")
    if bool(issuer.jwks_url) == bool(issuer.jwks_file):
        raise ConfigError(f"{what}: give either jwks_url or jwks_file")
    if issuer.family == "HS" and issuer.jwks_url:
        raise ConfigError(f"{what}: the secret of family HS must not be fetched, use jwks_file")
    if issuer.jwks_url:
        check_url(what, issuer.jwks_url)
    if not 0 <= issuer.leeway_seconds <= LONGEST_LEEWAY_SECONDS:
        raise ConfigError(f"{what}: leeway_seconds {shown(issuer.leeway_seconds)} is out of range: 0 to 60")
    if issuer.family == "HS":
        check_secrets(what, folder / issuer.jwks_file)
    if issuer.namespace and not NAME.match(issuer.namespace):
        raise ConfigError(f"{what}: namespace {issuer.namespace!r} is not a name")


def _refuse(reason: str) -> NoReturn:
    _log.info("token refused", reason=reason[:500])
    raise Unauthenticated("the token does not count: get a new one from its issuer", code="invalid_token")
