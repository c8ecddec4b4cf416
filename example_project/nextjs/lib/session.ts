// The Django session of a request. Reads only: what writes a session is Django (docs/nextjs.md).

import { getConfig } from "./config";
import { askDjango } from "./django";
import { type Claims, readToken } from "./token";

/** Times are seconds since 1970. */
export interface Session {
  /** The name of the session for its whole life. */
  sid: string;
  /** The user's primary key as text; null for an anonymous visitor. */
  sub: string | null;
  authTime: number | null;
  expiresAt: number;
  /** Whether using the session moves `expiresAt`; if not, it is the end that nothing moves. */
  sliding: boolean;
  /** Until when a copy of the session may be trusted; null where there is no such limit. */
  rv: number | null;
  /** What Django keeps in the session; null where the cookie does not hold it. */
  data: Record<string, unknown> | null;
}

export interface Resolved {
  session: Session | null;
  /** Set-Cookie headers from Django for the browser. */
  setCookie: string[];
}

/**
 * Return the session that the cookie `value` stands for, asking Django where the cookie alone
 * cannot tell.
 *
 * Throws DjangoUnavailable where Django is needed and out of reach; a bad cookie is no session.
 */
export async function getSession(
  value: string | undefined,
  visitor: Headers,
  now = Date.now() / 1000,
): Promise<Resolved> {
  const claims = value ? await readToken(value, now) : null;
  if (claims === null) {
    return { session: null, setCookie: [] };
  }
  if (!needsDjango(claims, now)) {
    return { session: fromClaims(claims), setCookie: [] };
  }
  const { session, setCookie } = await askDjango(value!, visitor);
  return {
    session: session && {
      sid: session.sid,
      sub: session.sub,
      authTime: claims.auth_time ?? null,
      expiresAt: session.exp,
      sliding: true,
      rv: session.rv,
      data: null,
    },
    setCookie,
  };
}

/** Return the session cookie in Django's answer, null unless it can be read without Django. */
export async function renewedCookie(
  setCookie: string[],
  now = Date.now() / 1000,
): Promise<string | null> {
  const start = getConfig().cookieName.length + 1;
  const value = setCookie[0]?.slice(start).split(";", 1)[0];
  const claims = value ? await readToken(value, now) : null;
  return claims !== null && !needsDjango(claims, now) ? value! : null;
}

/**
 * Tell whether only Django can say how things stand.
 *
 * - `hybrid`: the copy's time (`rv`) is over, or the copy was too big for the cookie (`big`);
 * - `db`: the token only names a row;
 * - any: the session is bound to a key in the device (`jkt`), of which Django sees the proof;
 * - `cookie`: half of the idle time is over, and the cookie is due to be renewed.
 */
function needsDjango(claims: Claims, now: number): boolean {
  if (claims.big !== undefined || claims.jkt !== undefined) {
    return true;
  }
  if (claims.rv !== undefined) {
    return now >= claims.rv;
  }
  if (claims.sub === undefined && claims.d === undefined) {
    return true;
  }
  return claims.exp - now < (claims.exp - claims.iat) / 2;
}

function fromClaims(claims: Claims): Session {
  return {
    sid: claims.sid,
    sub: claims.sub ?? null,
    authTime: claims.auth_time ?? null,
    expiresAt: claims.exp,
    sliding: claims.rv === undefined,
    rv: claims.rv ?? null,
    data: typeof claims.d === "object" ? claims.d : null,
  };
}
