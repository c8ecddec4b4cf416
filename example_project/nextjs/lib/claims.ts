// The claims of a session token and their one validator, as the token profile has them.

import { getConfig } from "./config";
import type { Members } from "./json";

export interface Claims {
  sid: string;
  iat: number;
  exp: number;
  /** When the session's epoch began, in milliseconds: a new login or proof begins one. */
  ep: number;
  sub?: string;
  auth_time?: number;
  rv?: number;
  d?: Record<string, unknown> | string;
  big?: 1;
  /** The key of the device without which the session opens nothing: see docs/dbsc.md. */
  jkt?: string;
}

const LEEWAY = 15;
const LAST_TIME = 253402300799;
const LAST_NUMBER = 2n ** 63n - 1n;
const SID = /^[A-Za-z0-9_-]{21}[AQgw]$/;
const BASE64URL = /^[A-Za-z0-9_-]+$/;
const KEY_PART = /^[A-Za-z0-9_-]{18}$/;
const DIGEST = /^[A-Za-z0-9_-]{6}$/;

type Form = (value: unknown, whole: bigint | undefined) => boolean;

const isText: Form = (value) => typeof value === "string";
const isTime: Form = (value) => typeof value === "number" && value >= 0 && value <= LAST_TIME;
const isNumber: Form = (_, whole) => whole !== undefined && whole >= 0n && whole <= LAST_NUMBER;

function matches(pattern: RegExp): Form {
  return (value) => typeof value === "string" && pattern.test(value);
}

/** A claim that is there has this form, null included; others than these are ignored. */
const FORMS: Record<string, Form> = {
  sid: matches(SID),
  iat: isTime,
  exp: isTime,
  nbf: isTime,
  iss: isText,
  aud: (value) => typeof value === "string" || (Array.isArray(value) && value.every(isAudience)),
  sub: (value) => typeof value === "string" && isSubject(value),
  auth_time: isTime,
  be: matches(DIGEST),
  ah: matches(BASE64URL),
  rv: isTime,
  ep: isNumber,
  pt: isTime,
  sk: matches(KEY_PART),
  mx: isTime,
  gen: isNumber,
  ver: isNumber,
  d: (value) => typeof value === "string" || isObject(value),
  big: (_, whole) => whole === 1n,
  jkt: matches(/^[A-Za-z0-9_-]{43}$/),
};

/** Return the claims of an authentic payload, null unless all of them are good; `now` in seconds. */
export function validate({ values, whole }: Members, now: number): Claims | null {
  const has = (name: string) => Object.hasOwn(values, name);
  const { issuer, audience, place } = getConfig();
  const good =
    ["sid", "iat", "exp", "ep"].every(has) &&
    Object.entries(FORMS).every(([name, form]) => !has(name) || form(values[name], whole.get(name))) &&
    has("sub") === has("auth_time") &&
    (has("auth_time") || !has("pt")) &&
    // Sites of one Django (tenants, databases) may share public keys.
    (has("place") ? values.place : "") === place &&
    // An issuer or audience that was not asked for means somebody else (RFC 7519 4.1.3).
    values.iss === issuer &&
    isFor(values.aud, audience) &&
    isNow(values as unknown as Claims & { nbf?: number }, now);
  return good ? (values as unknown as Claims) : null;
}

function isNow({ iat, exp, nbf }: Claims & { nbf?: number }, now: number): boolean {
  return Math.max(iat, nbf ?? 0) <= now + LEEWAY && exp > now - LEEWAY && exp > iat;
}

function isFor(aud: unknown, audience: string | undefined): boolean {
  return Array.isArray(aud) ? audience !== undefined && aud.includes(audience) : aud === audience;
}

function isAudience(value: unknown): boolean {
  return typeof value === "string";
}

/** Tell whether a database takes it: no NUL, no half of a character. */
function isSubject(value: string): boolean {
  return value !== "" && !value.includes("\0") && !/\p{Surrogate}/u.test(value);
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
