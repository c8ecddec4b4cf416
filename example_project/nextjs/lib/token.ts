// The text of a token to its claims, under rules that the token has no say in.

import { base64url, type JWTPayload, jwtDecrypt, jwtVerify } from "jose";

import { type Algorithm, getConfig } from "./config";
import { findKey } from "./keys";

export interface Claims {
  sid: string;
  iat: number;
  exp: number;
  sub?: string;
  auth_time?: number;
  rv?: number;
  d?: Record<string, unknown> | string;
  big?: 1;
}

interface Header {
  algorithm: Algorithm;
  kid: string;
}

const LEEWAY = 15;
const MAX_LENGTH = 8192;
const MAX_INFLATED = 256 * 1024;
const SID = /^[A-Za-z0-9_-]{21}[AQgw]$/;

/**
 * Return the claims of `token`, null for any token that is not good; `now` in seconds.
 *
 * Throws DjangoUnavailable where Django's public keys are needed and cannot be had; never for a
 * bad token.
 */
export async function readToken(token: string, now: number): Promise<Claims | null> {
  const header = token.length <= MAX_LENGTH ? readHeader(token) : null;
  if (header === null) {
    return null;
  }
  const { algorithm, kid } = header;
  const key = await findKey(algorithm, kid, now);
  if (key === undefined) {
    return null;
  }
  const { issuer, audience } = getConfig();
  const rules = {
    typ: "ses+jwt",
    issuer,
    audience,
    clockTolerance: LEEWAY,
    currentDate: new Date(now * 1000),
  };
  try {
    const { payload } =
      algorithm === "A256GCM"
        ? await jwtDecrypt(token, key, {
            ...rules,
            keyManagementAlgorithms: ["dir"],
            contentEncryptionAlgorithms: [algorithm],
            maxDecompressedLength: MAX_INFLATED,
          })
        : await jwtVerify(token, key, { ...rules, algorithms: [algorithm] });
    return isValid(payload, now) ? payload : null;
  } catch {
    return null; // altered, expired, another site's: jose says which, a visitor need not know
  }
}

/** Return what the header says, null unless it is exactly a header of the token profile. */
function readHeader(token: string): Header | null {
  const segments = token.split(".", 6);
  if (!segments.every(isCanonical)) {
    return null;
  }
  let header: unknown;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(base64url.decode(segments[0]!));
    header = JSON.parse(text);
    // JSON.parse takes the last of two equal names. What it makes of the text must be all of it.
    if (JSON.stringify(header) !== text) {
      return null;
    }
  } catch {
    return null;
  }
  if (!isObject(header)) {
    return null;
  }
  const encrypted = header.alg === "dir";
  const names = encrypted ? ["alg", "enc", "kid", "typ"] : ["alg", "kid", "typ"];
  if (encrypted && header.zip === "DEF") {
    names.push("zip");
  }
  const algorithm = getConfig().algorithms.find(
    (each) => each === (encrypted ? header.enc : header.alg) && encrypted === (each === "A256GCM"),
  );
  const exact = Object.keys(header).sort().join() === names.join();
  const parts = encrypted ? 5 : 3;
  return exact &&
    algorithm !== undefined &&
    segments.length === parts &&
    header.typ === "ses+jwt" &&
    typeof header.kid === "string"
    ? { algorithm, kid: header.kid }
    : null;
}

/** Tell whether a segment is the one base64url text of its bytes. */
function isCanonical(segment: string): boolean {
  try {
    return base64url.encode(base64url.decode(segment)) === segment;
  } catch {
    return false;
  }
}

/** Judge what jose has not: the claims that are Django's, and an `iat` in the future. */
function isValid(payload: JWTPayload, now: number): payload is JWTPayload & Claims {
  const { sid, iat, exp, aud, sub, auth_time, rv, d, big } = payload;
  return (
    typeof sid === "string" &&
    SID.test(sid) &&
    isTime(iat) &&
    isTime(exp) &&
    iat <= now + LEEWAY &&
    exp > iat &&
    // An audience that was not asked for means somebody else (RFC 7519 4.1.3).
    (aud === undefined || getConfig().audience !== undefined) &&
    (sub === undefined || (typeof sub === "string" && sub !== "")) &&
    (sub === undefined) === (auth_time === undefined) &&
    (auth_time === undefined || isTime(auth_time)) &&
    (rv === undefined || isTime(rv)) &&
    (d === undefined || typeof d === "string" || isObject(d)) &&
    (big === undefined || big === 1)
  );
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= 253402300799;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
