// docs/protocol.md §3–§5 and §7: what a slave computes, and what it checks of its master's.
import { createCipheriv, createDecipheriv, createPrivateKey, createPublicKey, diffieHellman, privateDecrypt, constants } from "node:crypto";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import * as e from "./encoding.mjs";

const X25519_PRIVATE = e.unhex("302e020100300506032b656e04220420");
const X25519_PUBLIC = e.unhex("302a300506032b656e032100");
const CHANNELS = { control: 0, data: 1, stream: 2 };
const DIRECTIONS = { s2m: 0, m2s: 1 };

const x25519Private = (raw) => createPrivateKey({ key: e.join(X25519_PRIVATE, raw), format: "der", type: "pkcs8" });
const x25519Public = (raw) => createPublicKey({ key: e.join(X25519_PUBLIC, raw), format: "der", type: "spki" });
export const x25519PublicOf = (secret) =>
  createPublicKey(x25519Private(secret)).export({ format: "der", type: "spki" }).subarray(-32);

function x25519(secret, publicKey) {
  const shared = diffieHellman({ privateKey: x25519Private(secret), publicKey: x25519Public(publicKey) });
  if (shared.equals(e.zeros(32))) throw new Error("all-zero secret");
  return shared;
}

/** The slave's share of §3.1. secrets: {x25519, mlkemSeed} or {rsa} (PKCS #8). */
export function makeShare(secrets) {
  if (secrets.rsa) {
    const key = createPrivateKey({ key: secrets.rsa, format: "der", type: "pkcs8" });
    return createPublicKey(key).export({ format: "der", type: "spki" });
  }
  const x = x25519PublicOf(secrets.x25519);
  return secrets.mlkemSeed ? e.join(x, ml_kem768.keygen(secrets.mlkemSeed).publicKey) : x;
}

export function agree(suite, secrets, masterShare) {
  if (suite === "R1") {
    const key = createPrivateKey({ key: secrets.rsa, format: "der", type: "pkcs8" });
    return privateDecrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" }, masterShare);
  }
  const shared = x25519(secrets.x25519, masterShare.subarray(0, 32));
  if (suite === "E1") {
    if (masterShare.length !== 32) throw new Error("share has the wrong length");
    return shared;
  }
  if (masterShare.length !== 32 + 1088) throw new Error("share has the wrong length");
  const { secretKey } = ml_kem768.keygen(secrets.mlkemSeed);
  return e.join(ml_kem768.decapsulate(masterShare.subarray(32), secretKey), shared);
}

/** Everything of §3.3 up to TH2 and K3, from the fields of M1 and M2. */
export function keySchedule(m1, m2, ikm) {
  const shareS = e.unb64(m2.suite === "R1" ? m1.slavePubRSAKey : m1.share);
  const shareM = e.unb64(m2.suite === "R1" ? m2.encryptedAESKey : m2.share);
  const [sid, sig, fin] = [e.unb64(m2.sid), e.unb64(m2.sig), e.unb64(m2.fin)];
  const names = [e.ascii("vgroup/1"), e.ascii(m2.suite), e.ascii(m2.aead), e.list(m1.suites), e.list(m1.aeads)];
  const th1 = e.H(e.lp(...names, e.unb64(m1.gid), e.unb64(m1.sn), shareS, sid, e.unb64(m2.mn), shareM));
  const hs = e.extract(th1, ikm);
  const th2 = e.H(e.lp(th1, sig, fin));
  const k3 = e.derive(hs, "s hs", th2);
  return { th1, hs, sid, sig, fin, th2, k3, expectedFin: e.hmac(e.derive(hs, "m fin", th1), sig) };
}

export const masterDigest = (th1, master) => e.H(e.lp(e.ascii("vgroup/1 master"), th1, master));
export const slaveDigest = (th2, master, slave) => e.H(e.lp(e.ascii("vgroup/1 slave"), th2, master, slave));
export const codeId = (code) => e.H(e.lp(e.ascii("vgroup/1 code id"), code)).subarray(0, 8);
export const pairingProof = (code, th2, slave) => e.hmac(code, e.lp(e.ascii("vgroup/1 pairing proof"), th2, slave));

/** Plaintext of M3. code is 16 bytes or null. */
export function identity(secret, master, th2, code) {
  const publicKey = e.publicKeyOf(secret);
  const address = e.addressOf(publicKey);
  const proof = code ? e.join(codeId(code), pairingProof(code, th2, address)) : e.zeros(0);
  return e.join(publicKey, e.sign(secret, slaveDigest(th2, master, address)), e.u8(proof.length), proof);
}

export function sessionKeys(schedule, m3Plaintext) {
  const th3 = e.H(e.lp(schedule.th2, m3Plaintext));
  const ms = e.extract(e.derive(schedule.hs, "derived", schedule.th2), e.zeros(32));
  const keys = {};
  for (const direction in DIRECTIONS)
    for (const channel in CHANNELS) keys[`${direction} ${channel}`] = e.derive(ms, `${direction} ${channel}`, th3);
  return { th3, ms, keys };
}

/** One direction of one channel (§5.1). Moves on by generation, and never back. */
export class Lane {
  constructor(aead, key, sid, direction, channel) {
    Object.assign(this, { aead, key, sid, direction, channel, generation: 0 });
  }
  #cipher(make, seq) {
    const generation = Math.floor(seq / 65536);
    if (generation < this.generation || generation > this.generation + 1) throw new Error("generation is out of reach");
    if (generation > this.generation) this.key = e.derive(this.key, "upd", e.zeros(0));
    this.generation = generation;
    const name = this.aead === "A256GCM" ? "aes-256-gcm" : "chacha20-poly1305";
    const cipher = make(name, this.key, e.join(e.zeros(4), e.u64(seq)), { authTagLength: 16 });
    const [channel, direction] = [CHANNELS[this.channel], DIRECTIONS[this.direction]];
    cipher.setAAD(e.join(e.u8(channel), e.u8(direction), e.u32(generation), this.sid));
    return cipher;
  }
  seal(seq, plaintext) {
    const cipher = this.#cipher(createCipheriv, seq);
    return e.join(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
  }
  open(seq, sealed) {
    const cipher = this.#cipher(createDecipheriv, seq);
    cipher.setAuthTag(sealed.subarray(-16));
    return e.join(cipher.update(sealed.subarray(0, -16)), cipher.final());
  }
}

/** Plaintext of M4 (§3.4). */
export function readTicket(raw) {
  const reader = new e.Reader(raw);
  const ticket = {
    gid: reader.take(16), oid: reader.take(16), address: reader.take(20), token: reader.take(64),
    masterOid: reader.take(16), chainId: reader.number(8), contract: reader.take(20), state: reader.number(1),
    epoch: reader.number(8), deadline: reader.number(8), lastSeq: reader.number(8), policy: reader.number(1),
    checkpointRecords: reader.number(4), checkpointSeconds: reader.number(4), largestPayload: reader.number(4),
    lifetime: reader.number(4),
  };
  reader.extensions();
  return ticket;
}

export const tokenDigest = (gid, oid, address) => e.keccak(e.join(gid, oid, address));

/** Plaintext of M6 (§7). */
export function readResult(raw) {
  const reader = new e.Reader(raw);
  const result = {
    state: reader.number(1), reason: reader.number(2), transaction: reader.take(32), block: reader.number(8),
    epoch: reader.number(8),
  };
  reader.extensions();
  return result;
}

/** §4. Answers {master, code, host, port}. */
export function readPairing(text) {
  const parts = /^vg1-([a-z2-7]{64})@(\[[0-9a-f:.]+\]|[^:]+):([0-9]+)$/.exec(text);
  if (!parts) throw new Error("no pairing string");
  let bits = "";
  for (const character of parts[1]) bits += "abcdefghijklmnopqrstuvwxyz234567".indexOf(character).toString(2).padStart(5, "0");
  const body = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const [master, code, check] = [body.subarray(0, 20), body.subarray(20, 36), body.subarray(36)];
  const expected = e.H(e.lp(e.ascii("vgroup/1 pairing"), master, code)).subarray(0, 4);
  if (!check.equals(expected)) throw new Error("check fails");
  return { master, code, host: parts[2], port: Number(parts[3]) };
}
