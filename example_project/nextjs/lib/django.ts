// The question that only Django can answer: does this session still live?

import { getConfig } from "./config";

/** Django did not answer, or not as expected: neither a yes nor a no. */
export class DjangoUnavailable extends Error {}

export interface Answer {
  /** Null where the session has ended. Times are seconds since 1970. */
  session: { sid: string; sub: string; exp: number; rv: number | null } | null;
  /** Set-Cookie headers of the session cookie, for the browser. */
  setCookie: string[];
}

const TIMEOUT_MS = 3000;
// Django records the visitor's device and address, not this server's; a prefetch renews nothing.
// The proof of the device's key, where the site binds sessions (docs/dbsc.md).
const PROOF = /__Host-dbsc=[A-Za-z0-9._-]+/;
const PASSED_ON = ["user-agent", "x-forwarded-for", "x-forwarded-proto", "sec-purpose"];

/**
 * Ask Django's session/ endpoint about the session of `cookie`, a token that was read before.
 *
 * Throws DjangoUnavailable.
 */
export async function askDjango(cookie: string, visitor: Headers): Promise<Answer> {
  const { cookieName, sessionUrl } = getConfig();
  const proof = PROOF.exec(visitor.get("cookie") ?? "")?.[0] ?? "";
  const headers = new Headers({
    accept: "application/json",
    cookie: `${cookieName}=${cookie}; ${proof}`.replace(/; $/, ""),
  });
  for (const name of PASSED_ON) {
    const value = visitor.get(name);
    if (value !== null) {
      headers.set(name, value);
    }
  }
  try {
    const response = await fetch(sessionUrl, {
      headers,
      redirect: "error",
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status !== 200) {
      throw new Error(`status ${response.status}`);
    }
    const { authenticated, sid, sub, exp, rv } = await response.json();
    return {
      session: authenticated === true ? { sid, sub: String(sub), exp, rv: rv ?? null } : null,
      setCookie: response.headers
        .getSetCookie()
        .filter((header) => header.startsWith(`${cookieName}=`)),
    };
  } catch (error) {
    throw new DjangoUnavailable("Django's session/ cannot be asked", { cause: error });
  }
}
