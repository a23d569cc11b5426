// docs/protocol.md §0 and §1 a second time: written from the page, sharing nothing with group_protocol/.
import { createHash, createHmac } from "node:crypto";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";

const HALF_ORDER = secp256k1.Point.Fn.ORDER / 2n;

export const ascii = (text) => Buffer.from(text, "ascii");
export const hex = (raw) => Buffer.from(raw).toString("hex");
export const unhex = (text) => Buffer.from(text, "hex");
export const b64 = (raw) => Buffer.from(raw).toString("base64url");
export const zeros = (length) => Buffer.alloc(length);
export const join = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));

export function unb64(text) {
  const raw = Buffer.from(text, "base64url");
  if (b64(raw) !== text) throw new Error("base64url is not canonical");
  return raw;
}

function unsigned(bytes) {
  return (value) => {
    const digits = BigInt(value).toString(16).padStart(2 * bytes, "0");
    if (digits.length !== 2 * bytes) throw new Error("number does not fit");
    return unhex(digits);
  };
}
export const u8 = unsigned(1);
export const u16 = unsigned(2);
export const u32 = unsigned(4);
export const u64 = unsigned(8);
export const u256 = unsigned(32);

export const lp = (...fields) => join(...fields.flatMap((field) => [u32(field.length), field]));
export const list = (names) => lp(...names.map(ascii));
export const H = (raw) => createHash("sha256").update(raw).digest();
export const keccak = (raw) => Buffer.from(keccak_256(raw));
export const hmac = (key, raw) => createHmac("sha256", key).update(raw).digest();
export const extract = (salt, ikm) => hmac(salt, ikm);
export const expand32 = (prk, info) => hmac(prk, join(info, u8(1)));
export const derive = (key, label, context) => expand32(key, join(lp(ascii(`vgroup/1 ${label}`)), lp(context)));

export const publicKeyOf = (secret) => Buffer.from(secp256k1.getPublicKey(secret, false));
export const addressOf = (publicKey) => keccak(publicKey.subarray(1)).subarray(-20);
export const objectIdOf = (address) => address.subarray(-16);

export function sign(secret, digest) {
  const raw = Buffer.from(secp256k1.sign(digest, secret, { prehash: false, lowS: true, format: "recovered" }));
  const [parity, r, s] = [raw[0], raw.subarray(1, 33), raw.subarray(33)];
  s[0] |= parity << 7;
  return join(r, s);
}

export function recover(digest, signature) {
  if (signature.length !== 64) throw new Error("signature has not 64 bytes");
  const s = Buffer.from(signature.subarray(32));
  const parity = s[0] >> 7;
  s[0] &= 0x7f;
  if (BigInt(`0x${hex(s)}`) > HALF_ORDER) throw new Error("high s");
  const recoverable = join(u8(parity), signature.subarray(0, 32), s);
  const compressed = secp256k1.recoverPublicKey(recoverable, digest, { prehash: false });
  return addressOf(Buffer.from(secp256k1.Point.fromBytes(compressed).toBytes(false)));
}

export function requireSigner(digest, signature, address, what) {
  if (!recover(digest, signature).equals(Buffer.from(address))) throw new Error(`${what} is another key's`);
}

export class Reader {
  constructor(raw) {
    this.raw = raw;
    this.at = 0;
  }
  take(length) {
    if (this.at + length > this.raw.length) throw new Error("bytes run out");
    this.at += length;
    return this.raw.subarray(this.at - length, this.at);
  }
  number(length) {
    return Number(BigInt(`0x${hex(this.take(length))}`));
  }
  extensions() {
    for (let last = -1; this.at < this.raw.length; ) {
      const type = this.number(2);
      if (type <= last || type >= 0x8000) throw new Error("extension is refused");
      last = type;
      this.take(this.number(2));
    }
  }
}
