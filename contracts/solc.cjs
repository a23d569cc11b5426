#!/usr/bin/env node
// npm's Solidity compiler behind the command line of the native one, for py-solc-x, forge and slither. (npm's own `solcjs`
// prints a line of its own before its answer.) Answers --version, --standard-json and --combined-json, and prints nothing else.
"use strict";

const fs = require("node:fs");
const path = require("node:path");

/** What --combined-json calls an output, and where standard JSON keeps it. */
const COMBINED = {
  abi: ["abi", (contract) => contract.abi],
  bin: ["evm.bytecode.object", (contract) => contract.evm.bytecode.object],
  "bin-runtime": ["evm.deployedBytecode.object", (contract) => contract.evm.deployedBytecode.object],
  srcmap: ["evm.bytecode.sourceMap", (contract) => contract.evm.bytecode.sourceMap],
  "srcmap-runtime": ["evm.deployedBytecode.sourceMap", (contract) => contract.evm.deployedBytecode.sourceMap],
  hashes: ["evm.methodIdentifiers", (contract) => contract.evm.methodIdentifiers],
  userdoc: ["userdoc", (contract) => contract.userdoc],
  devdoc: ["devdoc", (contract) => contract.devdoc],
};
const MODULES = path.join(__dirname, "..", "node_modules");

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function loadCompiler() {
  try {
    return require("solc");
  } catch (error) {
    return fail(`npm's solc is not installed (${error.code}): run "make dev", or "npm ci" in the repository.`);
  }
}

/** Imports: as they are, by a remapping, or from node_modules. */
function importReader(remappings) {
  return (name) => {
    const mapped = remappings.filter(([prefix]) => name.startsWith(prefix)).map(([prefix, to]) => to + name.slice(prefix.length));
    const found = [...mapped, name, path.join(MODULES, name)].find((candidate) => fs.existsSync(candidate));
    return found ? { contents: fs.readFileSync(found, "utf8") } : { error: `not found: ${name}` };
  };
}

function combinedJson(solc, outputs, files, remappings) {
  const unknown = outputs.filter((output) => output !== "ast" && !(output in COMBINED));
  if (unknown.length || !files.length) fail(`--combined-json: ${unknown.length ? `cannot give ${unknown}` : "no source file"}`);
  const wanted = outputs.filter((output) => output !== "ast");
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(files.map((file) => [file, { content: fs.readFileSync(file, "utf8") }])),
    settings: { outputSelection: { "*": { "*": wanted.map((output) => COMBINED[output][0]), "": ["ast"] } } },
  };
  const answer = JSON.parse(solc.compile(JSON.stringify(input), { import: importReader(remappings) }));
  const errors = (answer.errors ?? []).filter((error) => error.severity === "error");
  if (errors.length) fail(errors.map((error) => error.formattedMessage).join("\n"));
  const contracts = {};
  for (const [file, byName] of Object.entries(answer.contracts ?? {})) {
    for (const [name, contract] of Object.entries(byName)) {
      contracts[`${file}:${name}`] = Object.fromEntries(wanted.map((output) => [output, COMBINED[output][1](contract)]));
    }
  }
  const sources = Object.fromEntries(Object.entries(answer.sources).map(([file, source]) => [file, { AST: source.ast }]));
  return JSON.stringify({ contracts, sourceList: Object.keys(answer.sources), sources, version: solc.version() });
}

function main(argv) {
  const solc = loadCompiler();
  if (argv.includes("--version")) {
    return `solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`;
  }
  if (argv.includes("--standard-json")) {
    return solc.compile(fs.readFileSync(0, "utf8"), { import: importReader([]) });
  }
  const at = argv.indexOf("--combined-json");
  if (at === -1) return fail("usage: solc.cjs --version | --standard-json < input | --combined-json OUTPUTS FILE... [PREFIX=PATH...]");
  const rest = argv.filter((argument, i) => i !== at && i !== at + 1);
  const remappings = rest.filter((argument) => argument.includes("=") && !argument.startsWith("-")).map((argument) => argument.split("=", 2));
  return combinedJson(solc, argv[at + 1].split(","), rest.filter((argument) => argument.endsWith(".sol")), remappings);
}

process.stdout.write(`${main(process.argv.slice(2))}\n`);
