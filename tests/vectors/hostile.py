"""The hostile tokens: each kind of forgery, accident and abuse, with the reason to expect."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Any

from .hostile_claims import payload_cases
from .jose import b64, compact, deflate, jwe, jwk, kid_of, pem, subkey, thumbprint, unb64
from .site import EC_KEY, ED_KEY, LOGIN, OLD_SECRET, SALT, SECRET, WEEK, header, seal, settings

Case = tuple[str, str, str]  # name, reason, token
SYMMETRIC = ("A256GCM", "HS256")
ALL = (*SYMMETRIC, "ES256", "Ed25519", "EdDSA")
BODY = compact(LOGIN)
EC_KID, ED_KID = thumbprint(EC_KEY.public_key()), thumbprint(ED_KEY.public_key())
KID = kid_of(SECRET, SALT, WEEK)


def hostile() -> dict[str, Any]:
    """Return the content of hostile.json."""
    groups = (algorithms, keys, headers, raw_headers, encodings, structures, alterations)
    cases = [case for group in (*groups, compressions) for case in group()]
    cases += [(name, reason, seal("A256GCM", body)) for name, reason, body in payload_cases()]
    cases += [(f"signed: {n}", r, seal("EdDSA", body)) for n, r, body in payload_cases()][::7]
    tokens: list[dict[str, Any]] = [{"name": n, "reason": r, "token": t} for n, r, t in cases]
    scoped = {"iss": "https://example.com", "aud": "app"}
    ours = {"ISSUER": "https://example.com", "AUDIENCE": "app"}
    tokens += [
        {"name": name, "reason": reason, "token": seal(alg, compact(LOGIN | claims)), **more}
        for name, reason, alg, claims, more in (
            ("no issuer", "issuer", "A256GCM", {"aud": "app"}, {"settings": ours}),
            ("other issuer", "issuer", "HS256", scoped | {"iss": "x"}, {"settings": ours}),
            ("no audience", "audience", "A256GCM", {"iss": scoped["iss"]}, {"settings": ours}),
            ("other audience", "audience", "ES256", scoped | {"aud": "x"}, {"settings": ours}),
            ("other audiences", "audience", "A256GCM", scoped | {"aud": ["x"]}, {"settings": ours}),
            ("no audiences", "audience", "A256GCM", scoped | {"aud": []}, {"settings": ours}),
            ("audience not expected", "audience", "A256GCM", {"aud": "app"}, {}),
            ("audiences not expected", "audience", "HS256", {"aud": ["app"]}, {}),
            ("no audiences, none expected", "audience", "A256GCM", {"aud": []}, {}),
            ("issuer not expected", "issuer", "A256GCM", {"iss": scoped["iss"]}, {}),
            ("empty issuer not expected", "issuer", "Ed25519", {"iss": ""}, {}),
            ("alg not listed", "algorithm", "HS256", {}, {"settings": {"ALGORITHMS": ["A256GCM"]}}),
            ("enc not listed", "algorithm", "A256GCM", {}, {"settings": {"ALGORITHMS": ["EdDSA"]}}),
        )
    ]
    tokens += [
        {"name": "100 KB", "reason": "too_long", "token": "A", "repeat": 100_000},
        {"name": "100 KB of dots", "reason": "too_long", "token": ".", "repeat": 100_000},
        {"name": "8193 characters", "reason": "too_long", "token": "A", "repeat": 8193},
        {"name": "8192 characters", "reason": "malformed", "token": "A", "repeat": 8192},
        {"name": "8192 dots", "reason": "malformed", "token": ".", "repeat": 8192},
        {"name": "8190 brackets", "reason": "malformed", "token": "W1tb", "repeat": 2047},
    ]
    return {**settings(), "algorithms": list(ALL), "tokens": tokens}


def unsigned(head: dict[str, Any]) -> str:
    return f"{b64(compact(head))}.{b64(BODY)}."


def algorithms() -> Iterator[Case]:
    for alg in ("none", "None", "NONE", "nOnE", "none ", " none", "", None, ["none"], {}, 0, True):
        head = {"alg": alg, "typ": "ses+jwt", "kid": KID}
        yield f"alg {alg!r}, unsigned", "algorithm", unsigned(head)
    escaped = rb'{"alg":"n\u006fne"}'
    yield "alg none, escaped", "algorithm", f"{b64(escaped)}.{b64(BODY)}."
    yield "alg none in five parts", "algorithm", f"{b64(compact({'alg': 'none'}))}...."
    yield "no alg", "algorithm", unsigned({"typ": "ses+jwt", "kid": KID})
    others = (
        "HS384",
        "HS512",
        "hs256",
        "RS256",
        "PS256",
        "ES384",
        "ES256K",
        "ed25519",
        "Ed448",
        "EDDSA",
    )
    for alg in others:
        yield f"alg {alg}", "algorithm", seal("HS256", BODY, alg=alg)
    wraps = ("A256GCM", "A256GCMKW", "A256KW", "RSA-OAEP", "ECDH-ES", "PBES2-HS256+A128KW", "DIR")
    for alg in wraps:
        yield f"encrypted, alg {alg}", "algorithm", seal("A256GCM", BODY, alg=alg)
    encs = ("A128GCM", "A192GCM", "A256CBC-HS512", "a256gcm", "HS256", "EdDSA", "none", None, [])
    for enc in encs:
        yield f"enc {enc!r}", "algorithm", seal("A256GCM", BODY, enc=enc)
    head = {"alg": "dir", "typ": "ses+jwt", "kid": KID}
    yield "no enc", "algorithm", seal("A256GCM", BODY, raw=compact(head))


def keys() -> Iterator[Case]:
    for alg, key, kid in (("ES256", EC_KEY, EC_KID), ("EdDSA", ED_KEY, ED_KID)):
        public = key.public_key()
        forms = {"PEM": pem(public).encode(), "JWK": compact(jwk(public)), "kid": kid.encode()}
        for form, secret in forms.items():
            for name, own in ((KID, "signature"), (kid, "unknown_key")):
                message = f"{b64(compact(header('HS256', kid=name)))}.{b64(BODY)}"
                mac = hmac.digest(secret, message.encode(), "sha256")
                of = "the secret" if name == KID else f"the {alg} key"
                what = f"HS256 with the {alg} public key's {form} as secret, kid of {of}"
                yield what, own, f"{message}.{b64(mac)}"
    yield "ES256 under the kid of the EdDSA key", "unknown_key", seal("ES256", BODY, kid=ED_KID)
    yield "EdDSA under the kid of the ES256 key", "unknown_key", seal("EdDSA", BODY, kid=EC_KID)
    for name in ("Ed25519", "EdDSA"):
        yield f"HS256 under the name {name}", "unknown_key", seal("HS256", BODY, alg=name, kid=KID)
        yield f"ES256 under the name {name}", "unknown_key", seal("ES256", BODY, alg=name)
    yield "ES256 under the kid of a secret", "unknown_key", seal("ES256", BODY, kid=KID)
    yield "encrypted under the kid of a PEM", "unknown_key", seal("A256GCM", BODY, kid=EC_KID)
    for alg, use in (("A256GCM", "encrypt"), ("HS256", "sign")):
        text = b64(compact(header(alg)))
        wrong = {"of the other use": "sign" if use == "encrypt" else "encrypt", "kid": "kid"}
        for name, other in wrong.items():
            key = subkey(SECRET, SALT, other if other == "kid" else f"{other}/{WEEK}")
            yield f"{alg} with the key {name}", "signature", _with(alg, text, key)
        key = subkey(SECRET, SALT, f"{use}/{WEEK - 1}")
        yield f"{alg} with last week's key", "signature", _with(alg, text, key)
        key = subkey(OLD_SECRET, SALT, f"{use}/{WEEK}")
        yield f"{alg} with another listed secret", "signature", _with(alg, text, key)
        yield f"{alg} with the raw secret", "signature", _with(alg, text, SECRET.encode()[:32])
        yield f"{alg} with zeros as key", "signature", _with(alg, text, bytes(32))
        yield f"{alg} of another site", "unknown_key", seal(alg, BODY, secret="another site's")
        kid = kid_of(SECRET, "other_cookie", WEEK)
        yield f"{alg} of another cookie", "unknown_key", seal(alg, BODY, kid=kid)
        for week in (0, WEEK - 60, WEEK + 2, WEEK + 1000, 999_999):
            yield f"{alg} of week {week}", "unknown_key", seal(alg, BODY, week)
    mark = KID.partition("-")[2]
    kids = (
        "",
        " ",
        "../../../../etc/passwd",
        "/dev/null",
        "file:///dev/zero",
        "https://example.com/key",
        "' OR '1'='1",
        "key\x00",
        f"0{KID}",
        f" {KID}",
        f"{KID}\n",
        f"+{KID}",
        f"-1-{mark}",
        f"{WEEK}.0-{mark}",
        f"2_922-{mark}",
        f"\uff12\uff19\uff12\uff12-{mark}",
        f"{WEEK}-{mark}-{mark}",
        f"{10**40}-{mark}",
        mark,
        "A" * 5000,
        "9" * 5000,
        "\ud800",
    )
    for kid in kids:
        raw = compact(header("A256GCM", kid=kid)) if kid != "\ud800" else _escaped(kid)
        yield f"kid {kid[:40]!r}, {len(kid)} long", "unknown_key", seal("A256GCM", BODY, raw=raw)
    for kid in (None, WEEK, 1.5, True, [KID], {"kid": KID}):
        yield f"kid {kid!r}", "unknown_key", seal("A256GCM", BODY, kid=kid)
    for alg in ALL:
        raw = {name: value for name, value in header(alg).items() if name != "kid"}
        yield f"{alg} without kid", "unknown_key", seal(alg, BODY, raw=compact(raw))


def _escaped(kid: str) -> bytes:
    return compact(header("A256GCM", kid="?")).replace(b'"?"', rb'"\ud800"')


def _with(alg: str, text: str, key: bytes) -> str:
    if alg == "A256GCM":
        return jwe(text, BODY, key)
    message = f"{text}.{b64(BODY)}"
    return f"{message}.{b64(hmac.digest(key, message.encode(), 'sha256'))}"


def headers() -> Iterator[Case]:
    """Authentic tokens, whose header alone is not ours."""
    for typ in ("JWT", "jwt", "SES+JWT", "ses+jwt ", "application/ses+jwt", "at+jwt", "", None, []):
        yield f"typ {typ!r}", "type", seal("EdDSA", BODY, typ=typ)
    for alg in ALL:
        raw = {name: value for name, value in header(alg).items() if name != "typ"}
        yield f"{alg} without typ", "type", seal(alg, BODY, raw=compact(raw))
    more: dict[str, Any] = {
        "crit": ["exp"],
        "jku": "https://example.com/jwks.json",
        "x5u": "https://example.com/cert.pem",
        "jwk": jwk(EC_KEY.public_key()),
        "x5c": ["MIIB"],
        "x5t": "AAAA",
        "cty": "JWT",
        "b64": False,
        "p2c": 5_000_000_000,
        "epk": jwk(EC_KEY.public_key()),
        "iv": "AAAA",
        "apu": "AAAA",
        "zip ": "DEF",
        "x": None,
        "": "",
    }
    for number, (name, value) in enumerate(more.items()):
        for alg in (ALL[number % 5], ALL[(number + 1) % 5]):
            yield f"{alg} with {name!r}", "header", seal(alg, BODY, **{name: value})
    yield "empty crit", "header", seal("ES256", BODY, crit=[])
    yield "crit and b64", "header", seal("HS256", BODY, crit=["b64"], b64=False)
    yield "enc in a signed token", "header", seal("HS256", BODY, enc="A256GCM")


def raw_headers() -> Iterator[Case]:
    good = compact(header("HS256"))
    bad = {
        "alg twice": good[:-1] + b',"alg":"HS256"}',
        "alg twice, none first": b'{"alg":"none",' + good[1:],
        "kid twice": good[:-1] + b',"kid":"x"}',
        "alg twice, escaped": good[:-1] + rb',"\u0061lg":"none"}',
        "a name twice, one deeper": good[:-1] + b',"jwk":{"kty":"EC","kty":"oct"}}',
        "an array": b"[" + good + b"]",
        "text": b'"HS256"',
        "null": b"null",
        "a number": b"1",
        "nothing": b"",
        "a space before": b" " + good,
        "a line end after": good + b"\n",
        "two objects": good + good,
        "a comma too many": good[:-1] + b",}",
        "a comment": good[:-1] + b"/**/}",
        "single quotes": good.replace(b'"', b"'"),
        "a byte order mark": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "NUL": good[:-1] + b"\x00}",
        "no UTF-8": good.replace(b"HS256", b"HS\xff56"),
        "overlong UTF-8": good.replace(b"HS256", b"HS\xc0\xb256"),
        "NaN": good[:-1] + b',"x":NaN}',
        "deep arrays": good[:-1] + b',"x":' + b"[" * 2000 + b"]" * 2000 + b"}",
        "deep objects": good[:-1] + b',"x":' + b'{"x":' * 900 + b"1" + b"}" * 901,
        "brackets that never end": b"[" * 5500,
        "braces that never end": b'{"":' * 1100,
        "a string that never ends": b'{"' + rb"\"" * 2650 + b"[" * 200,
        "5500 quotes": b'"' * 5500,
    }
    for name, raw in bad.items():
        yield f"header: {name}", "malformed", seal("HS256", BODY, raw=raw or b" ")


def encodings() -> Iterator[Case]:
    whole = seal("HS256", BODY)
    head, body, mac = whole.split(".")
    yield "padding", "malformed", f"{head}.{body}.{mac}="
    yield "padding of the header", "malformed", f"{head}==.{body}.{mac}"
    yield "white space before", "malformed", f" {whole}"
    yield "white space after", "malformed", f"{whole} "
    yield "a line end after", "malformed", f"{whole}\n"
    yield "a tab inside", "malformed", f"{head[:8]}\t{head[8:]}.{body}.{mac}"
    yield "NUL after", "malformed", f"{whole}\x00"
    yield "NUL inside", "malformed", f"{head[:5]}\x00{head[5:]}.{body}.{mac}"
    yield "quoted", "malformed", f'"{whole}"'
    yield "not ASCII", "malformed", f"{whole}ä"
    yield "wide characters", "malformed", whole.replace("e", "\uff45")
    yield "a lone surrogate", "malformed", f"{whole}\udc80"
    yield "standard base64", "malformed", f"{head}.{body}.{mac[:-2]}+/"
    yield "percent", "malformed", whole.replace(".", "%2E")
    yield "one character too many", "malformed", f"{head}A.{body}.{mac}"
    for alg in ALL:
        parts = seal(alg, BODY).split(".")
        for place in range(len(parts)):
            other = _other_bits(parts[place])
            if other is not None:
                changed = [*parts[:place], other, *parts[place + 1 :]]
                # A payload is decoded only once its signature holds, and that is over its text.
                reason = "signature" if len(parts) == 3 and place == 1 else "malformed"
                yield f"{alg}: bits left over in part {place}", reason, ".".join(changed)


def _other_bits(part: str) -> str | None:
    """Return another text that decoders who are not strict take for the same bytes."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    if len(part) % 4 == 0:
        return None
    other = part[:-1] + alphabet[alphabet.index(part[-1]) + 1]
    assert unb64(other) == unb64(part)
    return other


def structures() -> Iterator[Case]:
    head, _, nonce, text, tag = seal("A256GCM", BODY).split(".")
    yield "an encrypted key", "malformed", f"{head}.AAAA.{nonce}.{text}.{tag}"
    yield (
        "an encrypted key of 32 bytes",
        "malformed",
        f"{head}.{b64(bytes(32))}.{nonce}.{text}.{tag}",
    )
    yield "no tag", "malformed", f"{head}..{nonce}.{text}."
    for size in (1, 4, 8, 12, 15):
        yield (
            f"a tag of {size} bytes",
            "malformed",
            f"{head}..{nonce}.{text}.{b64(unb64(tag)[:size])}",
        )
    yield "a tag of 17 bytes", "malformed", f"{head}..{nonce}.{text}.{tag}AA"
    for size in (0, 8, 11, 13, 16):
        yield f"a nonce of {size} bytes", "malformed", f"{head}..{b64(bytes(size))}.{text}.{tag}"
    yield "no ciphertext", "signature", f"{head}..{nonce}..{tag}"
    yield "encrypted in three parts", "malformed", f"{head}.{text}.{tag}"
    yield "six parts", "malformed", f"{head}..{nonce}.{text}.{tag}."
    yield "four parts", "malformed", f"{head}.{nonce}.{text}.{tag}"
    head, body, mac = seal("HS256", BODY).split(".")
    yield "signed in five parts", "malformed", f"{head}..{b64(bytes(12))}.{body}.{mac}"
    yield "signed in two parts", "malformed", f"{head}.{body}"
    yield "no header", "malformed", f".{body}.{mac}"
    yield "with a scheme", "malformed", f"Bearer {head}.{body}.{mac}"
    yield "two tokens", "malformed", f"{head}.{body}.{mac},{head}.{body}.{mac}"
    general = compact({"payload": body, "signatures": [{"protected": head, "signature": mac}]})
    yield "JSON serialization", "malformed", general.decode()
    yield (
        "a signed token in an encrypted one",
        "malformed",
        seal("A256GCM", seal("HS256", BODY).encode()),
    )
    yield "a token in a signed one", "malformed", seal("EdDSA", seal("A256GCM", BODY).encode())
    yield "a password reset token", "malformed", "c8x2qk-5f4dcc3b5aa765d61d8327deb882cf99"
    yield (
        "a value of Django's signing",
        "malformed",
        "eyJhIjoxfQ:1tQx9a:HbB6d0x3f0Y2vVbK0y7jZr0E5sA",
    )
    yield "a key of Django's db engine", "malformed", "q5cfhv93dpmbc9yczvx1w2p0iw4q3d7v"
    yield "a UUID", "malformed", "0190163d-8694-739b-aea5-966c26f8ad91"
    yield "dots", "malformed", "." * 20
    yield "short", "malformed", "a.b.c"


def alterations() -> Iterator[Case]:
    other = [seal(alg, compact(LOGIN | {"sub": "1"})).split(".") for alg in ALL]
    for alg, stranger in zip(ALL, other, strict=True):
        parts = seal(alg, BODY).split(".")
        for place in range(1, len(parts)):
            if parts[place]:
                first = "A" if parts[place][0] != "A" else "B"
                changed = [*parts[:place], first + parts[place][1:], *parts[place + 1 :]]
                yield f"{alg}: part {place} altered", "signature", ".".join(changed)
                changed = [*parts[:place], stranger[place], *parts[place + 1 :]]
                yield f"{alg}: part {place} of another token", "signature", ".".join(changed)
    for alg in ("HS256", "ES256", "Ed25519", "EdDSA"):
        head, body, mac = seal(alg, BODY).split(".")
        raw = unb64(mac)
        wrong = {
            "empty": b"",
            "zero": bytes(len(raw)),
            "of one byte": b"\x00",
            "cut": raw[:-1],
            "longer": raw + b"\x00",
            "twice": raw * 2,
            "reversed": raw[::-1],
            "hexadecimal": raw.hex().encode(),
        }
        for name, value in wrong.items():
            yield f"{alg}: a signature that is {name}", "signature", f"{head}.{body}.{b64(value)}"
    head, body, mac = seal("ES256", BODY).split(".")
    r, s = unb64(mac)[:32], unb64(mac)[32:]
    der = b"\x30\x44\x02\x20" + r + b"\x02\x20" + s
    yield "ES256: a signature in DER", "signature", f"{head}.{body}.{b64(der)}"
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    for name, number in (("the order", order), ("one", 1), ("2^256 - 1", 2**256 - 1)):
        value = number.to_bytes(32, "big")
        yield f"ES256: r and s are {name}", "signature", f"{head}.{body}.{b64(value * 2)}"


def compressions() -> Iterator[Case]:
    body = deflate(BODY)
    for value in ("def", "GZ", "", None, True, ["DEF"]):
        yield f"zip {value!r}", "header", seal("A256GCM", body, zip=value)
    for alg in ("HS256", "ES256", "Ed25519", "EdDSA"):
        yield f"{alg} with zip", "header", seal(alg, body, zip="DEF")
    wrong = {
        "not compressed": BODY,
        "nothing": b"",
        "cut": body[:-3],
        "more after the end": body + b"\x00",
        "twice": body * 2,
        "with the header of zlib": b"\x78\x9c" + body,
        "a bomb of 5 MB": deflate(b'{"d":"' + b"A" * 5_000_000 + b'"}'),
        "a bomb of 300 KB": deflate(BODY[:-1] + b',"d":"' + b"A" * 300_000 + b'"}'),
    }
    for name, value in wrong.items():
        yield f"zip: {name}", "compression", seal("A256GCM", value, zip="DEF")
    yield "zip: compressed twice", "malformed", seal("A256GCM", deflate(body), zip="DEF")
    yield "compressed, and does not say so", "malformed", seal("A256GCM", body)
