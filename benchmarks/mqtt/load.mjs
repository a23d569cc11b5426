// node load.mjs PORT FOLDER PUBLISHERS WINDOW PAYLOAD_BYTES WARM_S FOR_S
// Publishers that keep WINDOW messages of QoS 1 unacknowledged each, and one subscriber, all in this process.
// Says one line of JSON: what the subscriber got and the publishers saw acknowledged in FOR_S seconds after WARM_S.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import mqtt from "mqtt";

const [port, folder, publishers, window, payloadBytes, warmS, forS] = process.argv.slice(2).map((word, at) => (at === 1 ? word : Number(word)));
const counts = { delivered: 0, acknowledged: 0 };
let isOver = false;

const connect = (name, options = {}) =>
  mqtt.connectAsync(`mqtts://127.0.0.1:${port}`, {
    clientId: name,
    ca: readFileSync(join(folder, "ca.pem")),
    cert: readFileSync(join(folder, `${name}.pem`)),
    key: readFileSync(join(folder, `${name}.key`)),
    reconnectPeriod: 0,
    protocolVersion: 4,
    ...options,
  });

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));

// A session that the broker keeps (clean: false): what is on its way to the subscriber is persistent with the broker.
const subscriber = await connect("subscriber", { clean: false });
subscriber.on("message", () => (counts.delivered += 1));
await subscriber.subscribeAsync("readings/#", { qos: 1 });

const payload = Buffer.alloc(payloadBytes, 0x5a);
const clients = await Promise.all(Array.from({ length: publishers }, (_, at) => connect(`publisher-${at}`)));

const publish = (client, topic) =>
  client.publish(topic, payload, { qos: 1 }, (error) => {
    if (error || isOver) return;
    counts.acknowledged += 1;
    publish(client, topic);
  });
clients.forEach((client, at) => {
  for (let free = 0; free < window; free += 1) publish(client, `readings/${at}`);
});

await sleep(warmS);
const begin = { ...counts, ms: performance.now(), cpu: process.cpuUsage() };
await sleep(forS);
const cpu = process.cpuUsage(begin.cpu);
const seconds = (performance.now() - begin.ms) / 1_000;
isOver = true;
const result = {
  seconds,
  delivered: counts.delivered - begin.delivered,
  acknowledged: counts.acknowledged - begin.acknowledged,
  client_cpu_s: (cpu.user + cpu.system) / 1e6,
};
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
