// The text of a token to its claims, under rules that the token has no say in.

import { base64url, compactVerify } from "jose";

import { type Claims, validate } from "./claims";
import { type Algorithm, getConfig } from "./config";
import { readObject } from "./json";
import { decrypt } from "./jwe";
import { findKey, type Key } from "./keys";

export type { Claims };

interface Header {
  algorithm: Algorithm;
  kid: string;
  compressed: boolean;
}

const MAX_LENGTH = 8192;

/**
 * Return the claims of `token`, null for any token that is not good; `now` in seconds.
 *
 * Throws DjangoUnavailable where Django's public keys are needed and cannot be had; never for a
 * bad token.
 */
export async function readToken(token: string, now: number): Promise<Claims | null> {
  const parts = token.length <= MAX_LENGTH ? decode(token) : null;
  const header = parts && readHeader(parts);
  const key = header && (await findKey(header.algorithm, header.kid, now));
  if (!parts || !header || !key) {
    return null;
  }
  try {
    return validate(readObject(await open(token, parts, header, key)), now);
  } catch {
    return null; // altered, or no JSON: a visitor need not know which
  }
}

/** Return the bytes of each part, null where one is not the one base64url text of its bytes. */
function decode(token: string): Uint8Array[] | null {
  try {
    const texts = token.split(".", 6);
    const parts = texts.map((text) => base64url.decode(text));
    return parts.every((part, i) => base64url.encode(part) === texts[i]) ? parts : null;
  } catch {
    return null;
  }
}

/** Return the payload of an authentic token. Throws for any other. */
async function open(
  token: string,
  parts: Uint8Array[],
  { algorithm, compressed }: Header,
  key: Key,
): Promise<Uint8Array> {
  if (algorithm === "A256GCM") {
    return decrypt(token.split(".", 1)[0]!, parts, compressed, key as Uint8Array);
  }
  return (await compactVerify(token, key, { algorithms: [algorithm] })).payload;
}

/** Return what the header says, null unless it is exactly a header of the token profile. */
function readHeader(parts: Uint8Array[]): Header | null {
  let header: Record<string, unknown>;
  try {
    header = readObject(parts[0]!).values;
  } catch {
    return null;
  }
  const encrypted = header.alg === "dir";
  const names = encrypted ? ["alg", "enc", "kid", "typ"] : ["alg", "kid", "typ"];
  const compressed = encrypted && header.zip === "DEF";
  if (compressed) {
    names.push("zip");
  }
  const algorithm = getConfig().algorithms.find(
    (each) => each === (encrypted ? header.enc : header.alg) && encrypted === (each === "A256GCM"),
  );
  return Object.keys(header).sort().join() === names.join() &&
    algorithm !== undefined &&
    parts.length === (encrypted ? 5 : 3) &&
    header.typ === "ses+jwt" &&
    typeof header.kid === "string"
    ? { algorithm, kid: header.kid, compressed }
    : null;
}
