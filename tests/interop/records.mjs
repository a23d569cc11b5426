// docs/protocol.md §6 and §8: records, checkpoints, frames, and what is signed for the contract.
import * as e from "./encoding.mjs";

const TYPES = {
  CreateGroup: "CreateGroup(bytes32 salt,address master,uint64 deadline)",
  Association: "Association(bytes16 gid,bytes32 tokenR,bytes32 tokenVs,uint64 deadline)",
  Revocation: "Revocation(bytes16 gid,bytes16 oid,uint64 deadline)",
  Rotation: "Rotation(bytes16 gid,bytes16 oid,address newAddress,uint64 deadline)",
  MasterRotation: "MasterRotation(bytes16 gid,address newMaster,uint64 deadline)",
  Exchange: "Exchange(bytes16 gid,bytes16 from,bytes16 to,bytes32 payloadHash,uint64 seq,uint64 epoch)",
  Checkpoint: "Checkpoint(bytes16 gid,bytes16 from,uint64 firstSeq,uint64 lastSeq,uint64 epoch,bytes32 runningHash)",
  Anchor: "Anchor(bytes16 gid,bytes32 root,uint64 fromRecord,uint64 toRecord)",
};

const left = (raw) => e.join(e.zeros(32 - raw.length), raw);
const right = (raw) => e.join(raw, e.zeros(32 - raw.length));
const word = (type, value) =>
  type.startsWith("uint") ? e.u256(value) : type === "address" ? left(value) : right(value);

export function domainSeparator(chainId, contract) {
  const type = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
  const names = [e.ascii(type), e.ascii("VirtualGroups"), e.ascii("1")].map(e.keccak);
  return e.keccak(e.join(...names, e.u256(chainId), left(contract)));
}

export function typedDigest(separator, name, ...values) {
  const members = TYPES[name].slice(name.length + 1, -1).split(",").map((member) => member.split(" ")[0]);
  const struct = e.join(e.keccak(e.ascii(TYPES[name])), ...members.map((type, at) => word(type, values[at])));
  return e.keccak(e.join(e.unhex("1901"), separator, e.keccak(struct)));
}

export function groupId(chainId, contract, master, salt) {
  const name = e.ascii("VirtualGroups");
  const head = [e.u256(5 * 32), e.u256(chainId), left(contract), left(master), salt];
  return e.keccak(e.join(...head, e.u256(name.length), right(name))).subarray(0, 16);
}

export const recordHead = (kind, to, seq, epoch, payload) =>
  e.join(e.u8(kind), to, e.u64(seq), e.u64(epoch), e.u32(payload.length), payload);

export function signedRecord(secret, separator, { gid, from, to, seq, epoch, payload }) {
  const digest = typedDigest(separator, "Exchange", gid, from, to, e.H(payload), seq, epoch);
  return e.join(recordHead(1, to, seq, epoch, payload), e.sign(secret, digest));
}

export const link = (running, to, seq, payload) => e.H(e.join(running, to, e.u64(seq), e.H(payload)));

export function checkpoint(secret, separator, { gid, from, first, last, epoch, running }) {
  const digest = typedDigest(separator, "Checkpoint", gid, from, first, last, epoch, running);
  return e.join(e.u8(3), e.u64(first), e.u64(last), e.u64(epoch), running, e.sign(secret, digest));
}

export const OPEN = e.u8(1);
export const items = (...all) => e.join(e.u8(2), ...all);
export const resume = (seq) => e.join(e.u8(3), e.u64(seq));
export const close = (reason) => e.join(e.u8(4), e.u16(reason));

export const receipt = (through, refused = 0, reason = 0) => e.join(e.u8(5), e.u64(through), e.u64(refused), e.u16(reason));

export function readDelivery(raw) {
  const reader = new e.Reader(raw);
  if (reader.number(1) !== 0x13) throw new Error("no DELIVERY");
  const delivery = { number: reader.number(8), from: reader.take(16), firstAddress: reader.take(20), changes: [] };
  for (let left = reader.number(1); left > 0; left -= 1)
    delivery.changes.push({ address: reader.take(20), deadline: reader.number(8), byOld: reader.take(64), byNew: reader.take(64) });
  if (reader.number(1) !== 1) throw new Error("the record is not signed");
  Object.assign(delivery, { to: reader.take(16), seq: reader.number(8), epoch: reader.number(8) });
  delivery.payload = reader.take(reader.number(4));
  delivery.signature = reader.take(64);
  if (reader.at !== raw.length) throw new Error("DELIVERY is too long");
  return delivery;
}

/** Throws unless the sender itself said this to `receiver`: §6.1, with no word of the master believed. */
export function verifyDelivery(delivery, separator, gid, receiver) {
  if (!delivery.to.equals(receiver) || delivery.from.equals(receiver)) throw new Error("not for this device");
  if (!e.objectIdOf(delivery.firstAddress).equals(delivery.from)) throw new Error("not the sender's address");
  let address = delivery.firstAddress;
  for (const change of delivery.changes) {
    const digest = typedDigest(separator, "Rotation", gid, delivery.from, change.address, change.deadline);
    e.requireSigner(digest, change.byOld, address, "change of key, old key");
    e.requireSigner(digest, change.byNew, change.address, "change of key, new key");
    address = change.address;
  }
  const { from, to, payload, seq, epoch } = delivery;
  const digest = typedDigest(separator, "Exchange", gid, from, to, e.H(payload), seq, epoch);
  e.requireSigner(digest, delivery.signature, address, "message");
}

/** §10: the hash of a stored record's leaf, and the root over such leaves by RFC 6962's definition. */
export const leaf = (gid, number, from, to, seq, epoch, payloadHash, sid, received, evidence) =>
  e.H(e.join(e.u8(0), e.lp(e.ascii("vgroup/1 record leaf"), gid, e.u64(number), from, to, e.u64(seq), e.u64(epoch), payloadHash, sid, e.u64(received), evidence)));

export function merkleRoot(leaves) {
  if (leaves.length === 1) return leaves[0];
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return e.H(e.join(e.u8(1), merkleRoot(leaves.slice(0, split)), merkleRoot(leaves.slice(split))));
}

export function readAck(raw) {
  const reader = new e.Reader(raw);
  if (reader.number(1) !== 0x12) throw new Error("no ACK");
  const ack = {
    last: reader.number(8), evidence: reader.number(8), credit: reader.number(4), epoch: reader.number(8),
    refused: reader.number(8), reason: reader.number(2),
  };
  if (reader.at !== raw.length) throw new Error("ACK is too long");
  return ack;
}

/** SenML in CBOR of numbers from one sensor: [{bn, bt, v}, {t, v}, …]. */
export function senml(name, time, values) {
  const integer = (value, major = 0) =>
    value < 24 ? e.u8((major << 5) | value) : value < 65536 ? e.join(e.u8((major << 5) | 25), e.u16(value)) : e.join(e.u8((major << 5) | 26), e.u32(value));
  const double = (value) => {
    const raw = Buffer.alloc(9, 0xfb);
    raw.writeDoubleBE(value, 1);
    return raw;
  };
  const entries = values.map((value, at) =>
    at === 0
      ? e.join(e.u8(0xa3), e.u8(0x21), integer(name.length, 3), e.ascii(name), e.u8(0x22), integer(time), e.u8(2), double(value))
      : e.join(e.u8(0xa2), e.u8(6), integer(at), e.u8(2), double(value)),
  );
  return e.join(integer(values.length, 4), ...entries);
}
