// A device over HTTP and one WebSocket: joining, associating, requests, a stream (docs/protocol.md §2–§7).
import { randomBytes } from "node:crypto";
import * as e from "./encoding.mjs";
import * as h from "./handshake.mjs";
import * as r from "./records.mjs";

async function post(base, path, body) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(base + path, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

async function exchangeKeys(base, pairing, suites, aeads) {
  const secrets = { x25519: randomBytes(32), mlkemSeed: suites.includes("H1") ? randomBytes(64) : undefined };
  const share = e.b64(h.makeShare(secrets));
  const m1 = { v: 1, suites, aeads, gid: "", sn: e.b64(randomBytes(32)), share };
  let m2 = await post(base, "/keysSession", m1);
  if (m2.cookie) m2 = await post(base, "/keysSession", { ...m1, cookie: m2.cookie });
  if (!suites.includes(m2.suite) || !aeads.includes(m2.aead)) throw new Error("master picked what was not offered");
  const schedule = h.keySchedule(m1, m2, h.agree(m2.suite, secrets, e.unb64(m2.share)));
  e.requireSigner(h.masterDigest(schedule.th1, pairing.master), schedule.sig, pairing.master, "M2");
  if (!schedule.fin.equals(schedule.expectedFin)) throw new Error("fin is wrong");
  return { m2, schedule };
}

/** M1–M4. */
export async function openSession(pairingText, suites, aeads, secret) {
  const pairing = h.readPairing(pairingText);
  const base = `http://${pairing.host}:${pairing.port}`;
  const address = e.addressOf(e.publicKeyOf(secret));
  const { m2, schedule } = await exchangeKeys(base, pairing, suites, aeads);
  const { sid } = schedule;
  const m3 = h.identity(secret, pairing.master, schedule.th2, pairing.code);
  const sealed = new h.Lane(m2.aead, schedule.k3, sid, "s2m", "control").seal(0, m3);
  const m4 = await post(base, "/getTicket", { sid: m2.sid, seq: 0, sealed: e.b64(sealed) });
  const { keys } = h.sessionKeys(schedule, m3);
  const lane = (direction, channel) => new h.Lane(m2.aead, keys[`${direction} ${channel}`], sid, direction, channel);
  const control = { out: lane("s2m", "control"), in: lane("m2s", "control") };
  const ticket = h.readTicket(control.in.open(0, e.unb64(m4.sealed)));
  if (!ticket.oid.equals(e.objectIdOf(address)) || !ticket.address.equals(address)) throw new Error("another's ticket");
  e.requireSigner(h.tokenDigest(ticket.gid, ticket.oid, address), ticket.token, pairing.master, "token");
  return { base, secret, m2, sid, lane, control, ticket };
}

export async function ask(path, lanes, { base, sid }, seq, plaintext) {
  const answer = await post(base, path, { sid: e.b64(sid), seq, sealed: e.b64(lanes.out.seal(seq, plaintext)) });
  return lanes.in.open(seq, e.unb64(answer.sealed));
}

/** M5 and M6, until the receipt stands. */
export async function associate(session, separator) {
  const { control, secret, ticket } = session;
  const halves = [ticket.token.subarray(0, 32), ticket.token.subarray(32)];
  const digest = r.typedDigest(separator, "Association", ticket.gid, ...halves, ticket.deadline);
  const call = e.join(ticket.token, e.sign(secret, digest), e.u64(ticket.deadline));
  for (let seq = 1; ; seq += 1) {
    const result = h.readResult(await ask("/assoc", control, session, seq, call));
    if (result.state !== 1) return result; // 1: PENDING, ask again
  }
}

/** An open stream: `send` a frame, `next` of the master's frames in order, `close`. */
export async function openStream(session) {
  const socket = new WebSocket(`${session.base.replace("http", "ws")}/stream`);
  socket.binaryType = "arraybuffer";
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", reject);
  });
  const [lane, out] = [session.lane("m2s", "stream"), session.lane("s2m", "stream")];
  const [frames, waiting] = [[], []];
  let [expected, seq] = [0, 0];
  socket.addEventListener("message", ({ data }) => {
    const message = Buffer.from(data);
    if (Number(message.readBigUInt64BE(0)) !== expected) throw new Error("stream out of order");
    frames.push(lane.open(expected, message.subarray(8)));
    expected += 1;
    waiting.shift()?.();
  });
  const send = (frame, head = Buffer.alloc(0)) => {
    socket.send(e.join(head, e.u64(seq), out.seal(seq, frame)));
    seq += 1;
  };
  const next = async () => {
    if (frames.length === 0) await new Promise((resolve) => waiting.push(resolve));
    return frames.shift();
  };
  const close = async () => {
    const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
    send(r.close(0));
    await closed;
  };
  send(r.OPEN, session.sid);
  return { send, next, close };
}
