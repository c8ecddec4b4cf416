import { cookies, headers } from "next/headers";
import { redirect } from "next/navigation";

import { getConfig } from "@/lib/config";
import { loginPath } from "@/lib/login";
import { getSession } from "@/lib/session";

export default async function Dashboard() {
  // Checked here again: a page does not lean on a proxy that somebody may find a way around.
  const cookie = (await cookies()).get(getConfig().cookieName);
  const { session } = await getSession(cookie?.value, await headers());
  if (!session?.sub) {
    redirect(loginPath("/dashboard"));
  }
  return (
    <main>
      <h1>Hello, user {session.sub}</h1>
      <p>This page comes from Next.js. It knows you by the session that Django keeps.</p>
      <dl>
        {session.authTime !== null && (
          <>
            <dt>Signed in</dt>
            <dd>
              <Time at={session.authTime} />
            </dd>
          </>
        )}
        <dt>Your session ends</dt>
        <dd>
          <Time at={session.expiresAt} />
          {session.sliding ? ", unless you use it before" : " at the latest"}
        </dd>
      </dl>
      {/* Plain links: the pages behind them are Django's. */}
      <p>
        <a href="/profile">Profile and log out</a>
      </p>
    </main>
  );
}

/** Show a time in seconds since 1970. */
function Time({ at }: { at: number }) {
  const iso = new Date(Math.floor(at) * 1000).toISOString();
  return <time dateTime={iso}>{`${iso.slice(0, 16).replace("T", " ")} UTC`}</time>;
}
