// Session cookies as sites on Node make them. Standard input: JSON with `secret`, `old` (an older
// secret), `user` and `seconds`, how long they are good. Standard output: JSON, a list of {name,
// engine, cookie, secret, user_id, value}; `value` is what the browser sends.
import { text } from "node:stream/consumers";
import { encode } from "@auth/core/jwt";
import { sealData } from "iron-session";
import { SignJWT } from "jose";

const { secret, old, user, seconds } = JSON.parse(await text(process.stdin));

// As the guide to sessions of Next.js writes it.
function article(payload) {
  return new SignJWT(payload)
    .setProtectedHeader({ alg: "HS256" })
    .setIssuedAt()
    .setExpirationTime(`${seconds}s`)
    .sign(new TextEncoder().encode(secret));
}

const expiresAt = new Date(Date.now() + seconds * 1000);
const token = { name: "Ada", email: "ada@example.com", sub: String(user) };
const authjs = (salt, used) => encode({ token, secret: used, salt, maxAge: seconds });
const iron = (data, password) => sealData(data, { password, ttl: seconds });
const secure = "__Secure-authjs.session-token";

console.log(
  JSON.stringify([
    { name: "article", engine: "jose_hs256", value: await article({ userId: user, expiresAt }) },
    {
      name: "article with a nested claim",
      engine: "jose_hs256",
      cookie: "app",
      user_id: "user.id",
      value: await article({ user: { id: String(user) } }),
    },
    { name: "Auth.js", engine: "authjs", value: await authjs("authjs.session-token", secret) },
    { name: "Auth.js, https", engine: "authjs", cookie: secure, value: await authjs(secure, secret) },
    {
      name: "Auth.js, an older secret",
      engine: "authjs",
      secret: [secret, old],
      value: await authjs("authjs.session-token", old),
    },
    { name: "iron-session", engine: "ironsession", cookie: "app", value: await iron({ userId: user }, secret) },
    {
      name: "iron-session, passwords by number",
      engine: "ironsession",
      cookie: "app",
      secret: { 1: old, 2: secret },
      user_id: "user.id",
      value: await iron({ user: { id: user, admin: false } }, { 1: old, 2: secret }),
    },
    {
      name: "iron-session, an older password",
      engine: "ironsession",
      cookie: "app",
      secret: { 1: old, 2: secret },
      value: await iron({ userId: user }, { 1: old }),
    },
  ]),
);
