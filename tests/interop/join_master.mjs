// node join_master.mjs PAIRING SUITES AEADS SECRET: joins a running master, associates, sends on /data and on /stream.
// Prints what the master said as JSON. SUITES and AEADS are comma-separated, SECRET is the device's key in hex.
import { randomBytes } from "node:crypto";
import * as e from "./encoding.mjs";
import * as h from "./handshake.mjs";
import * as r from "./records.mjs";

const [pairingText, suites, aeads, secretHex] = process.argv.slice(2);
const secret = e.unhex(secretHex);
const address = e.addressOf(e.publicKeyOf(secret));
const pairing = h.readPairing(pairingText);
const base = `http://${pairing.host}:${pairing.port}`;

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(base + path, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

async function exchangeKeys() {
  const names = suites.split(",");
  const secrets = { x25519: randomBytes(32), mlkemSeed: names.includes("H1") ? randomBytes(64) : undefined };
  const share = e.b64(h.makeShare(secrets));
  const m1 = { v: 1, suites: names, aeads: aeads.split(","), gid: "", sn: e.b64(randomBytes(32)), share };
  let m2 = await post("/keysSession", m1);
  if (m2.cookie) m2 = await post("/keysSession", { ...m1, cookie: m2.cookie });
  if (!names.includes(m2.suite) || !m1.aeads.includes(m2.aead)) throw new Error("master picked what was not offered");
  const schedule = h.keySchedule(m1, m2, h.agree(m2.suite, secrets, e.unb64(m2.share)));
  e.requireSigner(h.masterDigest(schedule.th1, pairing.master), schedule.sig, pairing.master, "M2");
  if (!schedule.fin.equals(schedule.expectedFin)) throw new Error("fin is wrong");
  return { m2, schedule };
}

async function openSession() {
  const { m2, schedule } = await exchangeKeys();
  const { sid } = schedule;
  const m3 = h.identity(secret, pairing.master, schedule.th2, pairing.code);
  const sealed = new h.Lane(m2.aead, schedule.k3, sid, "s2m", "control").seal(0, m3);
  const m4 = await post("/getTicket", { sid: m2.sid, seq: 0, sealed: e.b64(sealed) });
  const { keys } = h.sessionKeys(schedule, m3);
  const lane = (direction, channel) => new h.Lane(m2.aead, keys[`${direction} ${channel}`], sid, direction, channel);
  const control = { out: lane("s2m", "control"), in: lane("m2s", "control") };
  const ticket = h.readTicket(control.in.open(0, e.unb64(m4.sealed)));
  if (!ticket.oid.equals(e.objectIdOf(address)) || !ticket.address.equals(address)) throw new Error("another's ticket");
  e.requireSigner(h.tokenDigest(ticket.gid, ticket.oid, address), ticket.token, pairing.master, "token");
  return { m2, sid, lane, control, ticket };
}

async function ask(path, lanes, sid, seq, plaintext) {
  const answer = await post(path, { sid: e.b64(sid), seq, sealed: e.b64(lanes.out.seal(seq, plaintext)) });
  return lanes.in.open(seq, e.unb64(answer.sealed));
}

async function associate({ sid, control, ticket }, separator) {
  const halves = [ticket.token.subarray(0, 32), ticket.token.subarray(32)];
  const digest = r.typedDigest(separator, "Association", ticket.gid, ...halves, ticket.deadline);
  const call = e.join(ticket.token, e.sign(secret, digest), e.u64(ticket.deadline));
  for (let seq = 1; ; seq += 1) {
    const result = h.readResult(await ask("/assoc", control, sid, seq, call));
    if (result.state !== 1) return result; // 1: PENDING, ask again
  }
}

/** A queue of the stream's messages, opened in order. */
function listen(socket, lane) {
  const acks = [];
  const waiting = [];
  let next = 0;
  socket.addEventListener("message", ({ data }) => {
    const message = Buffer.from(data);
    const seq = Number(message.readBigUInt64BE(0));
    if (seq !== next) throw new Error("stream out of order");
    next += 1;
    acks.push(r.readAck(lane.open(seq, message.subarray(8))));
    waiting.shift()?.();
  });
  return async () => {
    if (acks.length === 0) await new Promise((resolve) => waiting.push(resolve));
    return acks.shift();
  };
}

async function stream(session, frames) {
  const socket = new WebSocket(`${base.replace("http", "ws")}/stream`);
  socket.binaryType = "arraybuffer";
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", reject);
  });
  const nextAck = listen(socket, session.lane("m2s", "stream"));
  const out = session.lane("s2m", "stream");
  socket.send(e.join(session.sid, e.u64(0), out.seal(0, r.OPEN)));
  const acks = [await nextAck()];
  frames.forEach((frame, at) => socket.send(e.join(e.u64(at + 1), out.seal(at + 1, frame))));
  const last = frames.length;
  while (acks.at(-1).last < acks[0].last + last) acks.push(await nextAck());
  const seq = last + 1;
  const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
  socket.send(e.join(e.u64(seq), out.seal(seq, r.close(0))));
  await closed;
  return acks;
}

const session = await openSession();
const { ticket } = session;
const separator = r.domainSeparator(ticket.chainId, ticket.contract);
const result = await associate(session, separator);
const from = ticket.oid;
const common = { gid: ticket.gid, from, to: ticket.masterOid, epoch: result.epoch };
const record = (seq) => {
  const payload = r.senml("ppg", 1_700_000_000 + seq, [500.25 + seq, 501.5 + seq]);
  return r.signedRecord(secret, separator, { ...common, seq, payload });
};
const data = { out: session.lane("s2m", "data"), in: session.lane("m2s", "data") };
const dataAck = r.readAck(await ask("/data", data, session.sid, 0, r.items(record(1), record(2))));
const streamAcks = await stream(session, [3, 4, 5].map((seq) => r.items(record(seq))));
console.log(JSON.stringify({ suite: session.m2.suite, aead: session.m2.aead, oid: e.hex(from), state: result.state, block: result.block, dataAck, streamAcks }));
process.exit(0);
