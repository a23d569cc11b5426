// node join_master.mjs PAIRING SUITES AEADS SECRET: joins a running master, associates, sends on /data and on /stream.
// Prints what the master said as JSON. SUITES and AEADS are comma-separated, SECRET is the device's key in hex.
import { ask, associate, openSession, openStream } from "./device.mjs";
import * as e from "./encoding.mjs";
import * as r from "./records.mjs";

const [pairingText, suites, aeads, secretHex] = process.argv.slice(2);
const secret = e.unhex(secretHex);

async function stream(session, frames) {
  const opened = await openStream(session);
  const acks = [r.readAck(await opened.next())];
  frames.forEach((frame) => opened.send(frame));
  while (acks.at(-1).last < acks[0].last + frames.length) acks.push(r.readAck(await opened.next()));
  await opened.close();
  return acks;
}

const session = await openSession(pairingText, suites.split(","), aeads.split(","), secret);
const { ticket } = session;
const separator = r.domainSeparator(ticket.chainId, ticket.contract);
const result = await associate(session, separator);
const common = { gid: ticket.gid, from: ticket.oid, to: ticket.masterOid, epoch: result.epoch };
const record = (seq) => {
  const payload = r.senml("ppg", 1_700_000_000 + seq, [500.25 + seq, 501.5 + seq]);
  return r.signedRecord(secret, separator, { ...common, seq, payload });
};
const data = { out: session.lane("s2m", "data"), in: session.lane("m2s", "data") };
const dataAck = r.readAck(await ask("/data", data, session, 0, r.items(record(1), record(2))));
const streamAcks = await stream(session, [3, 4, 5].map((seq) => r.items(record(seq))));
console.log(JSON.stringify({ suite: session.m2.suite, aead: session.m2.aead, oid: e.hex(ticket.oid), state: result.state, block: result.block, dataAck, streamAcks }));
process.exit(0);
