#!/usr/bin/env node
// Asks SMTChecker's CHC engine about one contract and prints {"line": "proved" | "not proved"} of its assertions.
// usage: chc.cjs SOLIDITY_FILE CONTRACT Z3 RLIMIT. z3's resource limit, unlike a time limit, stops at the same point on every machine.
"use strict";

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const solc = require("solc");

const [file, contract, z3, rlimit] = process.argv.slice(2);
// Without inline_eager=false, spacer spends itself on unfolding and proves none of these.
const OPTIONS = ["-smt2", "fp.xform.inline_eager=false", `rlimit=${rlimit}`];
const PROVED = "9576";
const NOT_PROVED = "6328";

function solve(query) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "chc-"));
  try {
    const question = path.join(folder, "query.smt2");
    fs.writeFileSync(question, query);
    const done = spawnSync(z3, [...OPTIONS, question], { encoding: "utf8", maxBuffer: 1 << 30 });
    if (done.error) throw done.error;
    return { contents: done.stdout };
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

const source = fs.readFileSync(file, "utf8");
const modelChecker = {
  engine: "chc", contracts: { [file]: [contract] }, targets: ["assert"], solvers: ["smtlib2"],
  showUnproved: true, showProvedSafe: true, showUnsupported: true,
};
const input = {
  language: "Solidity",
  sources: { [file]: { content: source } },
  settings: { modelChecker, outputSelection: { "*": { "*": ["abi"] } } },
};
const answer = JSON.parse(solc.compile(JSON.stringify(input), { smtSolver: solve }));
const verdicts = {};
for (const message of answer.errors ?? []) {
  if (message.severity === "error") throw new Error(message.formattedMessage);
  if (![PROVED, NOT_PROVED].includes(message.errorCode)) continue;
  const line = source.slice(0, message.sourceLocation.start).split("\n").length;
  verdicts[line] = message.errorCode === PROVED ? "proved" : "not proved";
}
process.stdout.write(`${JSON.stringify(verdicts)}\n`);
