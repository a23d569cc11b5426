"""``vgroup gateway run``: one register, served over HTTP to masters on other machines (``docs/gateway.md``)."""
