// node exchange_messages.mjs PAIRING_1 SECRET_1 PAIRING_2 SECRET_2: two devices join; the first sends the second messages, one before it
// streams and one while it does; the second verifies each by itself (docs/protocol.md §6.1). Prints what it heard as JSON.
import * as e from "./encoding.mjs";
import { associate, ask, openSession, openStream } from "./device.mjs";
import * as r from "./records.mjs";

const [pairingOne, secretOne, pairingTwo, secretTwo] = process.argv.slice(2);
const one = await openSession(pairingOne, ["E1"], ["A256GCM"], e.unhex(secretOne));
const two = await openSession(pairingTwo, ["E1"], ["A256GCM"], e.unhex(secretTwo));
const separator = r.domainSeparator(one.ticket.chainId, one.ticket.contract);
await associate(one, separator);
const { epoch } = await associate(two, separator);

const data = { out: one.lane("s2m", "data"), in: one.lane("m2s", "data") };
async function say(seq) {
  const payload = r.senml("bell", 1_700_000_000 + seq, [seq]);
  const record = { gid: one.ticket.gid, from: one.ticket.oid, to: two.ticket.oid, seq, epoch, payload };
  return r.readAck(await ask("/data", data, one, seq - 1, r.items(r.signedRecord(one.secret, separator, record))));
}

const acks = [await say(1)];
const stream = await openStream(two);
const heard = [];
async function hear() {
  for (;;) {
    const frame = await stream.next();
    if (frame[0] !== 0x13) continue;
    const delivery = r.readDelivery(frame);
    r.verifyDelivery(delivery, separator, two.ticket.gid, two.ticket.oid);
    heard.push({ number: delivery.number, from: e.hex(delivery.from), seq: delivery.seq, payload: e.hex(delivery.payload) });
    stream.send(r.receipt(delivery.number));
    return;
  }
}
await hear();
acks.push(await say(2));
await hear();
await stream.close();
console.log(JSON.stringify({ from: e.hex(one.ticket.oid), to: e.hex(two.ticket.oid), acks, heard }));
process.exit(0);
