"""The paper's literal protocol, weaknesses included, for measurement and attack demonstrations on loopback only.

It has no security: section 5.2's flow falls to a man in the middle, and its own tests show how. Nothing of the product
imports it; the server refuses to listen, and the client to connect, anywhere but on this machine's loopback addresses.

Where the paper is silent, something was assumed; `docs/paper_baseline.md` lists each source and each assumption.

One direction: `server`/`client` (aiohttp) → `master`/`slave` (the steps, without a socket) → `messages`, `ciphers`,
`signatures`. `register` is the port to the chain. Time is an argument nowhere because the paper's protocol has none.
"""
