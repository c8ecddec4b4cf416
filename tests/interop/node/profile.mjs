// The token profile with jose and WebCrypto alone. Standard input: JSON as in tests/vectors/profile.json,
// with `write`, a list of {alg, claims, zip}. Standard output: JSON with what was read, made, derived.
import { hkdfSync } from "node:crypto";
import { text } from "node:stream/consumers";
import * as jose from "jose";

const WEEK = 604800;
const site = JSON.parse(await text(process.stdin));
const secrets = site.keys.filter((key) => !key.includes("-----BEGIN "));
const now = new Date(site.now * 1000);

async function derive(secret, name) {
  const bytes = (value) => new TextEncoder().encode(value);
  const params = {
    name: "HKDF",
    hash: "SHA-256",
    salt: bytes(site.cookie_name),
    info: bytes(`django_jwtsession/1/${name}`),
  };
  const key = await crypto.subtle.importKey("raw", bytes(secret), "HKDF", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits(params, key, 256));
}

async function kidOf(secret, week) {
  return `${week}-${jose.base64url.encode(await derive(secret, "kid")).slice(0, 6)}`;
}

async function find(use, kid) {
  const [week] = kid.split("-");
  for (const secret of secrets) {
    if ((await kidOf(secret, week)) === kid) return derive(secret, `${use}/${week}`);
  }
  throw new Error("unknown kid");
}

async function read({ token, alg, iss, aud }) {
  const rules = { typ: "ses+jwt", currentDate: now, clockTolerance: 15, requiredClaims: ["sid", "exp"] };
  if (iss) rules.issuer = iss;
  if (aud) rules.audience = aud;
  if (alg === "A256GCM") {
    const only = { keyManagementAlgorithms: ["dir"], contentEncryptionAlgorithms: ["A256GCM"] };
    const { payload } = await jose.jwtDecrypt(token, ({ kid }) => find("encrypt", kid), { ...rules, ...only });
    return payload;
  }
  const key = alg === "HS256" ? ({ kid }) => find("sign", kid) : jose.createLocalJWKSet(site.jwks);
  const { payload } = await jose.jwtVerify(token, key, { ...rules, algorithms: [alg] });
  return payload;
}

async function write({ alg, claims, zip }) {
  const week = Math.floor(site.now / WEEK);
  const kid = await kidOf(secrets[0], week);
  if (alg === "A256GCM") {
    const header = { alg: "dir", enc: alg, typ: "ses+jwt", kid, ...(zip && { zip }) };
    return new jose.EncryptJWT(claims).setProtectedHeader(header).encrypt(await find("encrypt", kid));
  }
  if (alg === "HS256") {
    const signed = new jose.SignJWT(claims).setProtectedHeader({ alg, typ: "ses+jwt", kid });
    return signed.sign(await find("sign", kid));
  }
  for (const pem of site.keys.filter((key) => key.includes("-----BEGIN PRIVATE KEY"))) {
    const key = await jose.importPKCS8(pem, alg, { extractable: true }).catch(() => null);
    if (!key) continue;
    const thumbprint = await jose.calculateJwkThumbprint(await jose.exportJWK(key));
    const header = { alg, typ: "ses+jwt", kid: thumbprint };
    return new jose.SignJWT(claims).setProtectedHeader(header).sign(key);
  }
  throw new Error(`no key for ${alg}`);
}

async function tried(action, value) {
  try {
    return { ok: await action(value) };
  } catch (error) {
    return { error: error.code ?? error.message };
  }
}

const all = (action, values) => Promise.all((values ?? []).map((value) => tried(action, value)));
const hex = (bytes) => Buffer.from(bytes).toString("hex");

async function derived({ secret, week }) {
  return {
    kid: await kidOf(secret, week),
    encrypt: hex(await derive(secret, `encrypt/${week}`)),
    sign: hex(hkdfSync("sha256", secret, site.cookie_name, `django_jwtsession/1/sign/${week}`, 32)),
  };
}

console.log(
  JSON.stringify({
    read: await all(read, site.tokens),
    written: await all(write, site.write),
    derived: await all(derived, site.derived),
    kids: await all(jose.calculateJwkThumbprint, site.jwks?.keys),
  }),
);
