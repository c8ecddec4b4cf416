// Runs before the pages: the only place where a cookie from Django can be passed to the browser.

import { type NextRequest, NextResponse } from "next/server";

import { getConfig } from "./lib/config";
import { DjangoUnavailable } from "./lib/django";
import { loginPath } from "./lib/login";
import { getSession, renewedCookie } from "./lib/session";

export const config = { matcher: ["/dashboard/:path*"] };

export async function proxy(request: NextRequest): Promise<NextResponse> {
  const { cookieName } = getConfig();
  const value = request.cookies.get(cookieName)?.value;
  let resolved;
  try {
    resolved = await getSession(value, request.headers);
  } catch (error) {
    if (error instanceof DjangoUnavailable) {
      return unavailable();
    }
    throw error;
  }
  const { session, setCookie } = resolved;
  const response = session?.sub ? await onwards(request, setCookie) : toLogin(request);
  for (const header of setCookie) {
    response.headers.append("set-cookie", header);
  }
  return response;
}

/**
 * Let the page answer, with the new cookie if it needs nobody else to be read.
 *
 * Any other new cookie stays out of the page's sight: the page would ask Django with it, and Django
 * takes a cookie that comes back for one that the browser has received.
 */
async function onwards(request: NextRequest, setCookie: string[]): Promise<NextResponse> {
  const renewed = await renewedCookie(setCookie);
  if (renewed !== null) {
    request.cookies.set(getConfig().cookieName, renewed);
  }
  return NextResponse.next({ request: { headers: request.headers } });
}

function toLogin(request: NextRequest): NextResponse {
  const { pathname, search } = request.nextUrl;
  const target = new URL(loginPath(pathname + search), request.url);
  const response = NextResponse.redirect(target, 303);
  response.headers.set("cache-control", "private, no-store");
  return response;
}

function unavailable(): NextResponse {
  return new NextResponse("Your session cannot be checked right now. Please try again.", {
    status: 503,
    headers: { "retry-after": "5", "cache-control": "no-store" },
  });
}
