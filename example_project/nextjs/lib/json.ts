// JSON as a token needs it: unique names, real numbers only, bounded depth. JSON.parse takes the last
// of two equal names, and cannot tell 1.0 from 1.

const MAX_DEPTH = 100;
const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"/y;
// As many digits as Python reads of a number.
const NUMBER = /-?(?:0|[1-9][0-9]{0,4299})(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORD = /true|false|null/y;

export interface Members {
  /** The object, as JSON.parse would make it of strict text. */
  values: Record<string, unknown>;
  /** Its members that are whole numbers, written as such. */
  whole: Map<string, bigint>;
}

/** Return the JSON object in `bytes` (UTF-8). Throws SyntaxError for anything else. */
export function readObject(bytes: Uint8Array): Members {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  if (!text.startsWith("{") || !text.endsWith("}")) {
    throw new SyntaxError("no object, or something around it");
  }
  const whole = new Map<string, bigint>();
  let at = 0;

  function take(pattern: RegExp): string {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found === undefined) {
      throw new SyntaxError("no JSON");
    }
    at += found.length;
    return found;
  }

  function next(): string {
    take(SPACE);
    return text[at] ?? "";
  }

  /** Pass over `opener`, members with commas between, and `closer`. */
  function list(closer: string, depth: number, member: () => void): void {
    if (depth > MAX_DEPTH) {
      throw new SyntaxError("nested too deep");
    }
    at += 1;
    if (next() !== closer) {
      member();
      while (next() === ",") {
        at += 1;
        member();
      }
    }
    if (next() !== closer) {
      throw new SyntaxError("no JSON");
    }
    at += 1;
  }

  /** Pass over a value; return the whole number that it is. */
  function value(depth: number): bigint | undefined {
    const first = next();
    if (first === "{") {
      const names = new Set<string>();
      list("}", depth, () => {
        next();
        const name: string = JSON.parse(take(STRING));
        if (names.has(name) || next() !== ":") {
          throw new SyntaxError("a name twice, or no JSON");
        }
        names.add(name);
        at += 1;
        const number = value(depth + 1);
        if (depth === 1 && number !== undefined) {
          whole.set(name, number);
        }
      });
    } else if (first === "[") {
      list("]", depth, () => void value(depth + 1));
    } else if (first === '"') {
      take(STRING);
    } else if (first === "-" || (first >= "0" && first <= "9")) {
      const number = take(NUMBER);
      return /[.eE]/.test(number) ? undefined : BigInt(number);
    } else {
      take(WORD);
    }
    return undefined;
  }

  value(1);
  if (at !== text.length) {
    throw new SyntaxError("more than one object");
  }
  return { values: JSON.parse(text), whole };
}
