// Compact JWE with `dir` and A256GCM. jose would do, but for one thing: it takes a compressed payload
// that goes on after its end.

import { type InflateRaw, inflateRawSync } from "node:zlib";

const MAX_INFLATED = 256 * 1024;

/**
 * Return the payload of the five parts of a token, decoded, under its header as it stands there.
 *
 * Throws where it was altered, or is no DEFLATE of at most 256 KiB though the header says so.
 */
export async function decrypt(
  header: string,
  [, encryptedKey, iv, ciphertext, tag]: Uint8Array[],
  compressed: boolean,
  key: Uint8Array,
): Promise<Uint8Array> {
  if (encryptedKey!.length !== 0 || iv!.length !== 12 || tag!.length !== 16) {
    throw new Error("no compact JWE of this profile");
  }
  const imported = await crypto.subtle.importKey("raw", new Uint8Array(key), "AES-GCM", false, [
    "decrypt",
  ]);
  const rules = {
    name: "AES-GCM",
    iv: new Uint8Array(iv!),
    additionalData: new TextEncoder().encode(header),
    tagLength: 128,
  };
  const sealed = new Uint8Array([...ciphertext!, ...tag!]);
  const payload = new Uint8Array(await crypto.subtle.decrypt(rules, imported, sealed));
  return compressed ? inflate(payload) : payload;
}

function inflate(data: Uint8Array): Uint8Array {
  const options = { maxOutputLength: MAX_INFLATED, info: true };
  const { buffer, engine } = inflateRawSync(data, options) as unknown as {
    buffer: Uint8Array;
    engine: InflateRaw;
  };
  if (engine.bytesWritten !== data.length) {
    throw new Error("more than the compressed payload");
  }
  return buffer;
}
