"""ASVS 5.0.0 V9: the tokens, which say something themselves."""

from __future__ import annotations

from ...checks.keys import is_guessable
from ...conf.keys import SHORTEST_SECRET, secrets
from .requirement import Finding, Requirement, met, not_met, of_engine, yours
from .site import Site, has_page

_KEYGEN = "A key that `manage.py jwtsession keygen` prints; the old one after it for a while"
# Seconds: more is no difference of clocks.
_MOST_LEEWAY = 300
_AUDIENCE = 'JWTSESSION["AUDIENCE"]'
_WRITE_AUDIENCE = f"{_AUDIENCE} = the address of this site"


def _sealed(site: Site) -> Finding:
    for number, secret in secrets(site.config):
        if len(secret) < SHORTEST_SECRET:
            why = f"Key {number} is under {SHORTEST_SECRET} bytes: tokens can be forged."
            return not_met(site.keys_setting, why, _KEYGEN)
        if is_guessable(secret):
            why = f"Key {number} is easily guessed: tokens can be forged."
            return not_met(site.keys_setting, why, _KEYGEN)
    why = "Nothing of a token is believed before its tag or signature was checked."
    return met(site.keys_setting, why)


def _allowlist(site: Site) -> Finding:
    names = ", ".join(site.config.algorithms)
    why = f"{names} and no others; each key is for one algorithm, `none` is not known."
    return met('JWTSESSION["ALGORITHMS"]', why)


def _key_sources(site: Site) -> Finding:
    why = "Keys come from the settings; a token with jku, jwk, x5u or x5c is refused."
    return met(site.keys_setting, why)


def _validity(site: Site) -> Finding:
    leeway = site.config.leeway
    if leeway > _MOST_LEEWAY:
        return not_met(
            'JWTSESSION["LEEWAY"]',
            f"A token is taken for {leeway:g} s after its end.",
            'JWTSESSION["LEEWAY"] = 15',
        )
    why = f"iat, nbf and exp are checked each time, with {leeway:g} s for clocks."
    return met('JWTSESSION["LEEWAY"]', why)


def _type(site: Site) -> Finding:
    return met("SESSION_ENGINE", "typ must be ses+jwt, and every claim has its form.")


def _audience(site: Site) -> Finding:
    audience = site.config.audience
    if audience:
        return met(_AUDIENCE, f"aud must be {audience!r}.")
    if site.has_public_keys:
        why = "Tokens of a public key are taken whoever they are meant for."
        return not_met(_AUDIENCE, why, _WRITE_AUDIENCE)
    return yours(
        _AUDIENCE,
        "No aud: secret, cookie name and tenant make the key, so a token is good only where all"
        " three are the same.",
        f"Share the secret with no other site, or {_WRITE_AUDIENCE}",
    )


def _audiences(site: Site) -> Finding:
    if not site.has_public_keys:
        served = " (none are served)" if not has_page("jwtsession_jwks") else ""
        return met(site.keys_setting, f"No private key signs: there are no public keys{served}.")
    if site.config.audience:
        return met(_AUDIENCE, f"aud is {site.config.audience!r} in each token.")
    why = "A private key signs, and nothing in a token says for whom."
    return not_met(_AUDIENCE, why, _WRITE_AUDIENCE)


REQUIREMENTS = (
    Requirement("9.1.1", 1, "The tag or signature is checked first", of_engine(_sealed)),
    Requirement("9.1.2", 1, "Only listed algorithms, never none", of_engine(_allowlist)),
    Requirement("9.1.3", 1, "Keys come from the site, not from the token", of_engine(_key_sources)),
    Requirement("9.2.1", 1, "Taken only within the time that it names", of_engine(_validity)),
    Requirement("9.2.2", 2, "Taken only for the purpose it was made for", of_engine(_type)),
    Requirement("9.2.3", 2, "Taken only by the site it was made for", of_engine(_audience)),
    Requirement("9.2.4", 2, "Says for whom, if one key signs for many", of_engine(_audiences)),
)
