// node check_vectors.mjs FOLDER: makes every value of the frozen vectors again and compares. Prints how many were equal.
import { readFileSync } from "node:fs";
import * as e from "./encoding.mjs";
import * as h from "./handshake.mjs";
import * as r from "./records.mjs";

let compared = 0;
function equal(what, actual, expected) {
  const text = Buffer.isBuffer(actual) ? e.hex(actual) : actual;
  if (text !== expected) throw new Error(`${what}: ${text} is not ${expected}`);
  compared += 1;
}

const folder = process.argv[2];
const load = (name) => JSON.parse(readFileSync(`${folder}/${name}.json`, "utf8"));
const ids = load("identifiers");
const raw = Object.fromEntries(Object.entries(ids).map(([name, value]) => [name, typeof value === "string" ? e.unhex(value) : value]));
const separator = r.domainSeparator(ids.chain_id, raw.contract);

function checkIdentifiers() {
  for (const who of ["master", "slave"]) {
    equal(`${who} public key`, e.publicKeyOf(raw[`${who}_secret`]), ids[`${who}_public_key`]);
    equal(`${who} address`, e.addressOf(raw[`${who}_public_key`]), ids[`${who}_address`]);
    equal(`${who} oid`, e.objectIdOf(raw[`${who}_address`]), ids[`${who}_oid`]);
  }
  equal("gid", r.groupId(ids.chain_id, raw.contract, raw.master_address, raw.salt), ids.gid);
  equal("token digest", h.tokenDigest(raw.gid, raw.slave_oid, raw.slave_address), ids.token_digest);
  equal("token", e.sign(raw.master_secret, raw.token_digest), ids.token);
  equal("token's signer", e.recover(raw.token_digest, raw.token), ids.master_address);
  equal("code id", h.codeId(raw.pairing_code), ids.code_id);
  const pairing = h.readPairing(ids.pairing_string);
  equal("pairing master", pairing.master, ids.master_address);
  equal("pairing code", pairing.code, ids.pairing_code);
  equal("pairing endpoint", `${pairing.host}:${pairing.port}`, ids.pairing_string.split("@")[1]);
  equal("domain separator", separator, ids.domain_separator);
  const [tokenR, tokenVs] = [raw.token.subarray(0, 32), raw.token.subarray(32)];
  const signed = {
    CreateGroup: [raw.salt, raw.master_address, ids.deadline],
    Association: [raw.gid, tokenR, tokenVs, ids.deadline],
    Revocation: [raw.gid, raw.slave_oid, ids.deadline],
    Rotation: [raw.gid, raw.slave_oid, raw.new_slave_address, ids.deadline],
    MasterRotation: [raw.gid, raw.new_master_address, ids.deadline],
    Anchor: [raw.gid, raw.root, 1, 100],
  };
  equal("digests", Object.keys(signed).sort().join(), Object.keys(ids.digests).sort().join());
  for (const name in signed) equal(name, r.typedDigest(separator, name, ...signed[name]), ids.digests[name]);
}

function checkRecords() {
  const v = load("records");
  const [gid, from, to, payload] = [v.gid, v.from, v.to, v.payload].map(e.unhex);
  equal("payload hash", e.H(payload), v.payload_hash);
  equal("exchange digest", r.typedDigest(separator, "Exchange", gid, from, to, e.H(payload), 1, 1), v.exchange_digest);
  const signed = r.signedRecord(raw.slave_secret, separator, { gid, from, to, seq: 1, epoch: 1, payload });
  equal("signed record", signed, v.signed_record);
  let running = e.zeros(32);
  const seqs = [2, 3, 5];
  v.checkpointed_records.forEach((text, at) => {
    const content = e.unhex(text).subarray(37);
    equal("checkpointed record", r.recordHead(2, to, seqs[at], 1, content), text);
    running = r.link(running, to, seqs[at], content);
    equal("running hash", running, v.running_hashes[at]);
  });
  equal("checkpoint digest", r.typedDigest(separator, "Checkpoint", gid, from, 2, 5, 1, running), v.checkpoint_digest);
  const closing = r.checkpoint(raw.slave_secret, separator, { gid, from, first: 2, last: 5, epoch: 1, running });
  equal("checkpoint", closing, v.checkpoint);
  equal("OPEN", r.OPEN, v.frames.open);
  equal("ITEMS", r.items(signed, ...v.checkpointed_records.map(e.unhex), closing), v.frames.items);
  equal("RESUME", r.resume(7), v.frames.resume);
  equal("CLOSE", r.close(39), v.frames.close);
  const ack = { last: 5, evidence: 5, credit: 1_048_576, epoch: 2, refused: 6, reason: 12 };
  equal("ACK", JSON.stringify(r.readAck(e.unhex(v.frames.ack))), JSON.stringify(ack));
}

function checkPeer() {
  const v = load("peer");
  const [gid, from, to, payload, first, secret] = [v.gid, v.from, v.to, v.payload, v.first_address, v.new_secret].map(e.unhex);
  const signed = r.signedRecord(secret, separator, { gid, from, to, seq: 6, epoch: 2, payload });
  equal("peer message", signed, v.signed_record);
  const address = e.addressOf(e.publicKeyOf(secret));
  const digest = r.typedDigest(separator, "Rotation", gid, from, address, v.deadline);
  const change = e.join(address, e.u64(v.deadline), e.sign(raw.slave_secret, digest), e.sign(secret, digest));
  equal("DELIVERY", e.join(e.u8(0x13), e.u64(9), from, first, e.u8(1), change, signed), v.frames.delivery);
  const delivery = r.readDelivery(e.unhex(v.frames.delivery));
  r.verifyDelivery(delivery, separator, gid, to);
  equal("DELIVERY's payload", delivery.payload, v.payload);
  for (const [name, wrong] of [["from", to], ["to", from], ["payload", gid], ["seq", 7], ["changes", []]]) {
    let refused = false;
    try {
      r.verifyDelivery({ ...delivery, [name]: wrong }, separator, gid, to);
    } catch {
      refused = true;
    }
    equal(`DELIVERY with another ${name}`, String(refused), "true");
  }
  equal("RECEIPT", r.receipt(9), v.frames.receipt);
  equal("RECEIPT of a refusal", r.receipt(9, 8, 2), v.frames.receipt_of_refusal);
}

function checkSuccession() {
  const v = load("succession");
  const secrets = v.secrets.map(e.unhex);
  const addresses = secrets.map((secret) => e.addressOf(e.publicKeyOf(secret)));
  equal("pinned master", addresses[0], v.pinned);
  equal("newest master", addresses.at(-1), v.newest);
  v.changes.forEach((text, at) => {
    const digest = r.typedDigest(separator, "MasterRotation", raw.gid, addresses[at + 1], v.deadline);
    const signatures = [e.sign(secrets[at], digest), e.sign(secrets[at + 1], digest)];
    equal("change of master", e.join(addresses[at + 1], e.u64(v.deadline), ...signatures), text);
    equal("who was the master", e.recover(digest, e.unhex(text).subarray(28, 92)), e.hex(addresses[at]));
  });
  const told = JSON.parse(v.body);
  equal("fields of a succession", Object.keys(told).sort().join(), "chain,changes,contract,gid,v");
  equal("gid of a succession", e.unb64(told.gid), ids.gid);
  equal("chain of a succession", e.unb64(told.chain), e.hex(e.u64(ids.chain_id)));
  equal("contract of a succession", e.unb64(told.contract), ids.contract);
  equal("changes of a succession", e.unb64(told.changes), v.changes.join(""));
  equal("who is asked about", e.unb64(JSON.parse(v.request).master), v.pinned);
}

function checkAnchor() {
  const v = load("anchor");
  const [gid, from, to, sid] = [v.gid, v.from, v.to, v.sid].map(e.unhex);
  const leaves = v.payload_hashes.map((text, at) => {
    const number = at + 1;
    return r.leaf(gid, number, from, to, number, 1, e.unhex(text), sid, 1_700_000_000_000 + number, e.unhex(v.signatures[at]));
  });
  leaves.forEach((leaf, at) => equal("leaf", leaf, v.leaves[at]));
  equal("root", r.merkleRoot(leaves), v.root);
  equal("anchor digest", r.typedDigest(separator, "Anchor", gid, e.unhex(v.root), 1, 5), v.digest);
}

function secretsOf(v) {
  if (v.suite === "R1") return { rsa: e.unhex(v.slave_rsa_private_key_pkcs8_der) };
  const mlkemSeed = v.suite === "H1" ? e.unhex(v.slave_mlkem_seed) : undefined;
  return { x25519: e.unhex(v.slave_x25519_private_key), mlkemSeed };
}

function checkHandshake(name) {
  const v = load(name);
  const [m1, m2, m3, m4, m5, m6] = ["m1", "m2", "m3", "m4", "m5", "m6"].map((message) => JSON.parse(v[`${message}_body`]));
  const secrets = secretsOf(v);
  equal("share", h.makeShare(secrets), e.hex(e.unb64(v.suite === "R1" ? m1.slavePubRSAKey : m1.share)));
  if (v.suite !== "R1") {
    const expected = e.hex(h.x25519PublicOf(e.unhex(v.master_x25519_private_key)));
    equal("master's X25519 key", e.unb64(m2.share).subarray(0, 32), expected);
  }
  const ikm = h.agree(v.suite, secrets, e.unb64(v.suite === "R1" ? m2.encryptedAESKey : m2.share));
  equal("ikm", ikm, v.ikm);
  const schedule = h.keySchedule(m1, m2, ikm);
  for (const field of ["th1", "hs", "sig", "th2", "k3"]) equal(field, schedule[field], v[field]);
  equal("fin", schedule.expectedFin, v.fin);
  equal("fin of M2", schedule.fin, v.fin);
  equal("master digest", h.masterDigest(schedule.th1, raw.master_address), v.master_digest);
  equal("sig", e.sign(raw.master_secret, e.unhex(v.master_digest)), v.sig);
  equal("slave digest", h.slaveDigest(schedule.th2, raw.master_address, raw.slave_address), v.slave_digest);
  const m3Plaintext = h.identity(raw.slave_secret, raw.master_address, schedule.th2, e.unhex(v.pairing_code));
  equal("M3 plaintext", m3Plaintext, v.m3_plaintext);
  const { th3, ms, keys } = h.sessionKeys(schedule, m3Plaintext);
  equal("TH3", th3, v.th3);
  equal("ms", ms, v.ms);
  equal("lanes", Object.keys(keys).sort().join(), Object.keys(v.keys).sort().join());
  for (const lane in keys) equal(lane, keys[lane], v.keys[lane]);
  const lane = (direction, channel) => new h.Lane(v.aead, keys[`${direction} ${channel}`], schedule.sid, direction, channel);
  const k3 = new h.Lane(v.aead, schedule.k3, schedule.sid, "s2m", "control");
  equal("M3", JSON.stringify({ sid: m2.sid, seq: 0, sealed: e.b64(k3.seal(0, m3Plaintext)) }), JSON.stringify(m3));
  const [toMaster, toSlave] = [lane("s2m", "control"), lane("m2s", "control")];
  const m4Plaintext = toSlave.open(0, e.unb64(m4.sealed));
  equal("M4 plaintext", m4Plaintext, v.m4_plaintext);
  const ticket = h.readTicket(m4Plaintext);
  const asked = r.typedDigest(separator, "Association", ticket.gid, ticket.token.subarray(0, 32), ticket.token.subarray(32), ticket.deadline);
  const m5Plaintext = e.join(ticket.token, e.sign(raw.slave_secret, asked), e.u64(ticket.deadline));
  equal("M5 plaintext", m5Plaintext, v.m5_plaintext);
  equal("M5", e.b64(toMaster.seal(1, m5Plaintext)), m5.sealed);
  equal("M6 plaintext", toSlave.open(1, e.unb64(m6.sealed)), v.m6_plaintext);
  equal("M6 state", h.readResult(e.unhex(v.m6_plaintext)).state, 2);
  checkFrames(v, lane, schedule.sid);
}

function checkFrames(v, lane, sid) {
  const frame = e.unhex(v.data_frame);
  const [data, answer] = [JSON.parse(v.data_body), JSON.parse(v.data_answer_body)];
  equal("/data", e.b64(lane("s2m", "data").seal(0, frame)), data.sealed);
  equal("/data answer", lane("m2s", "data").open(0, e.unb64(answer.sealed)), v.ack_frame);
  const stream = lane("s2m", "stream");
  equal("stream opening", e.join(sid, e.u64(0), stream.seal(0, r.OPEN)), v.stream_opening);
  equal("stream second", e.join(e.u64(1), stream.seal(1, frame)), v.stream_second);
  const later = e.join(e.u64(65536), stream.seal(65536, frame));
  equal("stream, next generation", later, v.stream_first_of_generation_1);
  equal("key of generation 1", stream.key, v.stream_key_of_generation_1);
}

checkIdentifiers();
checkRecords();
checkPeer();
checkAnchor();
checkSuccession();
for (const name of ["e1", "h1", "r1"]) checkHandshake(name);
console.log(JSON.stringify({ compared }));
