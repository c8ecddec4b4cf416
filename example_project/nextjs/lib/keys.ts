// The key that a token's kid names: derived from a secret, or published by Django as a JWK.

import { base64url, createRemoteJWKSet, errors } from "jose";

import { type Algorithm, getConfig } from "./config";
import { DjangoUnavailable } from "./django";

export type Key = CryptoKey | Uint8Array;

const WEEK = 604800;
// Browsers keep no cookie longer than 400 days, so no living token is older.
const WEEKS_BACK = Math.ceil((400 * 86400) / WEEK);
const DERIVED_KID = /^(0|[1-9][0-9]{0,5})-([A-Za-z0-9_-]{6})$/;
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;
const USES: Partial<Record<Algorithm, string>> = { A256GCM: "encrypt", HS256: "sign" };

const encoder = new TextEncoder();

/**
 * Return the key that `kid` names, if it is one for `algorithm`, else undefined; `now` in seconds.
 *
 * Nothing is derived or fetched for a kid that no living token can have. Throws DjangoUnavailable
 * where the public keys cannot be had.
 */
export async function findKey(
  algorithm: Algorithm,
  kid: string,
  now: number,
): Promise<Key | undefined> {
  const use = USES[algorithm];
  if (use === undefined) {
    return THUMBPRINT.test(kid) ? publishedKey(algorithm, kid) : undefined;
  }
  const [, week, fingerprint] = DERIVED_KID.exec(kid) ?? [];
  if (week === undefined || fingerprint === undefined) {
    return undefined;
  }
  const age = Math.floor(now / WEEK) - Number(week);
  const secret = (await (secrets ??= importSecrets())).get(fingerprint);
  if (secret === undefined || age < -1 || age > WEEKS_BACK) {
    return undefined;
  }
  return subkey(secret, fingerprint, `${use}/${week}`);
}

let secrets: Promise<Map<string, CryptoKey>> | undefined;
// One entry for each secret, use and week in reach: bounded.
const subkeys = new Map<string, Promise<Uint8Array>>();

async function importSecrets(): Promise<Map<string, CryptoKey>> {
  const found = new Map<string, CryptoKey>();
  for (const text of getConfig().secrets) {
    const raw = encoder.encode(text);
    const secret = await crypto.subtle.importKey("raw", raw, "HKDF", false, ["deriveBits"]);
    found.set(base64url.encode(await derive(secret, "kid")).slice(0, 6), secret);
  }
  return found;
}

function subkey(secret: CryptoKey, fingerprint: string, name: string): Promise<Uint8Array> {
  const id = `${fingerprint}/${name}`;
  let key = subkeys.get(id);
  if (key === undefined) {
    subkeys.set(id, (key = derive(secret, name)));
  }
  return key;
}

/** HKDF-SHA256 as the token profile says: the cookie's name is the salt, with the place. */
async function derive(secret: CryptoKey, name: string): Promise<Uint8Array> {
  const { cookieName, place } = getConfig();
  const salt = encoder.encode(place ? `${cookieName}/${place}` : cookieName);
  const info = encoder.encode(`django_jwtsession/1/${name}`);
  const parameters = { name: "HKDF", hash: "SHA-256", salt, info };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, secret, 256));
}

let jwks: ReturnType<typeof createRemoteJWKSet> | undefined;

/** Look in Django's JWKS, which jose keeps for 10 minutes and asks for at most every 30 s. */
async function publishedKey(algorithm: Algorithm, kid: string): Promise<Key | undefined> {
  jwks ??= createRemoteJWKSet(getConfig().jwksUrl);
  try {
    return await jwks({ alg: algorithm, kid });
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) {
      return undefined;
    }
    throw new DjangoUnavailable("Django's public keys cannot be read", { cause: error });
  }
}
