// A browser that binds sessions, with jose: reads {url, cookies, registration} from stdin, registers a
// key, proves it twice, tries what is refused, and writes the statuses.

import { SignJWT, exportJWK, generateKeyPair } from "jose";

const input = JSON.parse(await new Response(process.stdin).text());
const cookies = new Map(Object.entries(input.cookies));
const offer = Object.fromEntries(
  [...input.registration.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
);
const { publicKey, privateKey } = await generateKeyPair("ES256");
const { kty, crv, x, y } = await exportJWK(publicKey);
const jwk = { kty, crv, x, y };
let challenge = "";

async function post(path, headers) {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const response = await fetch(new URL(path, input.url), {
    method: "POST",
    redirect: "manual",
    headers: { cookie, origin: new URL(input.url).origin, ...headers },
  });
  for (const header of response.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(header);
    cookies.set(name, value);
  }
  challenge = /^"([^"]+)";id=/.exec(response.headers.get("secure-session-challenge") ?? "")?.[1] ?? challenge;
  return response;
}

function sign(payload, header = {}, key = privateKey) {
  return new SignJWT(payload).setProtectedHeader({ alg: "ES256", typ: "dbsc+jwt", ...header }).sign(key);
}

const claims = { authorization: offer.authorization, jti: offer.challenge };
const registered = await post(offer.path, {
  "secure-session-response": await sign(claims, { jwk }),
});
const told = await registered.json();
const id = { "sec-secure-session-id": told.session_identifier };
const refresh = async (jws) =>
  (await post(told.refresh_url, jws ? { ...id, "secure-session-response": jws } : id)).status;

const used = challenge;
const statuses = {
  registered: registered.status,
  refreshed: await refresh(await sign({ jti: challenge })),
  reused: await refresh(await sign({ jti: used })),
  after: await refresh(await sign({ jti: challenge })),
  asked: await refresh(),
  quoted: await refresh(`"${await sign({ jti: challenge })}"`),
  with_jwk: await refresh(await sign({ jti: challenge }, { jwk })),
  wrong_typ: await refresh(await sign({ jti: challenge }, { typ: "jwt" })),
  hs256: await refresh(
    await sign({ jti: challenge }, { alg: "HS256" }, new TextEncoder().encode("x".repeat(32))),
  ),
  stolen: await refresh(await sign({ jti: challenge }, {}, (await generateKeyPair("ES256")).privateKey)),
  ended: await refresh(await sign({ jti: challenge })),
};
console.log(JSON.stringify({ statuses, told, jwk }));
