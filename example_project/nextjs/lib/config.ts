// The environment, read once a process; docs/nextjs.md lists it.

export const ALGORITHMS = ["A256GCM", "HS256", "ES256", "Ed25519", "EdDSA"] as const;
// Two names of one algorithm (RFC 9864, RFC 8037): where one is listed, both are read.
const ED25519: readonly Algorithm[] = ["Ed25519", "EdDSA"];
export type Algorithm = (typeof ALGORITHMS)[number];

export interface Config {
  /** Newest first; the same text as in Django's JWTSESSION["KEYS"]. */
  secrets: string[];
  /** What is accepted, whatever a token asks for. */
  algorithms: Algorithm[];
  cookieName: string;
  issuer: string | undefined;
  audience: string | undefined;
  /** Which of Django's places this is for; "" where it has one alone. */
  place: string;
  /** How this server reaches Django, past any proxy. */
  sessionUrl: URL;
  jwksUrl: URL;
  /** A path of the shared origin. */
  loginPath: string;
}

let config: Config | undefined;

/** Return the configuration. Throws an Error that names the variable to set. */
export function getConfig(): Config {
  return (config ??= read(process.env));
}

function read(env: NodeJS.ProcessEnv): Config {
  const listed = list(env.SESSION_ALGORITHMS || "A256GCM").map(algorithm);
  const both = listed.some((name) => ED25519.includes(name)) ? ED25519 : [];
  const algorithms = [...new Set([...listed, ...both])];
  const secrets = [env.SESSION_SECRET ?? "", ...list(env.SESSION_SECRET_FALLBACKS)].filter(Boolean);
  if (secrets.length === 0 && algorithms.some((name) => name === "A256GCM" || name === "HS256")) {
    throw new Error("Set SESSION_SECRET to the secret that Django has in JWTSESSION['KEYS'].");
  }
  const django = env.DJANGO_URL || "http://127.0.0.1:8001";
  return {
    secrets,
    algorithms,
    cookieName: env.SESSION_COOKIE_NAME || "sessionid",
    issuer: env.SESSION_ISSUER || undefined,
    audience: env.SESSION_AUDIENCE || undefined,
    place: env.SESSION_PLACE || "",
    sessionUrl: new URL(env.DJANGO_SESSION_PATH || "/session/", django),
    jwksUrl: new URL(env.SESSION_JWKS_URL || "/.well-known/jwks.json", django),
    loginPath: env.DJANGO_LOGIN_PATH || "/login",
  };
}

function list(text: string | undefined): string[] {
  return (text ?? "").split(/[\s,]+/).filter(Boolean);
}

function algorithm(name: string): Algorithm {
  const known = ALGORITHMS.find((each) => each === name);
  if (known === undefined) {
    throw new Error(`SESSION_ALGORITHMS: use some of ${ALGORITHMS.join(", ")}.`);
  }
  return known;
}
