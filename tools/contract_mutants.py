"""Every small fault that `tools/mutate_contract.py` puts into the contract, found in the compiler's syntax tree.

A mutant is one replacement of one range of bytes of a source. Some do not compile; those are no mutants at all.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import solcx

from contracts import build

Node = dict[str, Any]
SOURCES = ("contracts/src/VirtualGroups.sol", "contracts/src/StructHashes.sol")
OTHER_OPERATORS = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<"),
    ">=": (">", "<="),
    "==": ("!=",),
    "!=": ("==",),
    "&&": ("||",),
    "||": ("&&",),
    "+": ("-",),
    "-": ("+",),
    "|": ("&",),
    "&": ("|",),
    "<<": (">>",),
}
STATES = ("None", "Slave", "Master", "Revoked")
STATEMENTS = ("ExpressionStatement", "EmitStatement", "RevertStatement", "Return", "YulExpressionStatement")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault.

    Args:
        source: The file, as it is named for the compiler.
        start: Its first byte that is replaced.
        length: How many bytes are replaced.
        replacement: What stands there instead.
        operator: The kind of fault.
        line: Where it is, from 1.
        original: What is replaced, on one line.
        number: Which it is of those that read the same, from 1.
    """

    source: str
    start: int
    length: int
    replacement: str
    operator: str
    line: int
    original: str
    number: int = 1

    @property
    def name(self) -> str:
        """What it does, without its line: this stays when other lines come and go. No two have the same."""
        what = f"{Path(self.source).name}: {self.operator}: {self.original} -> {self.replacement}"
        return f"{what} #{self.number}" if self.number > 1 else what

    def apply(self, content: bytes) -> bytes:
        """Return the source with the fault in it."""
        return content[: self.start] + self.replacement.encode() + content[self.start + self.length :]


class _Tree:
    """One source and its syntax tree."""

    def __init__(self, source: str, content: bytes, root: Node) -> None:
        self.source = source
        self._content = content
        self.nodes = list(_walk(root, ()))

    def text(self, node: Node) -> str:
        start, length = self.span(node)
        return self._content[start : start + length].decode()

    def span(self, node: Node) -> tuple[int, int]:
        start, length, _ = (int(part) for part in (node.get("nativeSrc") or node["src"]).split(":"))
        return start, length

    def mutant(self, node: Node, replacement: str, operator: str) -> Mutant:
        start, length = self.span(node)
        line = self._content[:start].count(b"\n") + 1
        original = re.sub(r"\s+", " ", self.text(node))
        return Mutant(self.source, start, length, replacement, operator, line, original)


def _walk(value: object, parents: tuple[Node, ...]) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, parents)
    elif isinstance(value, dict):
        if "nodeType" in value:
            yield value, parents
            parents = (*parents, value)
        for item in value.values():
            yield from _walk(item, parents)


def _conditions(tree: _Tree, node: Node, _parents: tuple[Node, ...]) -> Iterator[Mutant]:
    if node["nodeType"] == "IfStatement":
        condition = node["condition"]
        if condition.get("operator") not in ("==", "!="):  # _operators turns those into each other
            yield tree.mutant(condition, f"!({tree.text(condition)})", "condition flipped")
        yield tree.mutant(condition, "false", "check dropped")
    if node["nodeType"] == "Conditional":
        yield tree.mutant(node, tree.text(node["trueExpression"]), "always the first")
        yield tree.mutant(node, tree.text(node["falseExpression"]), "always the second")


def _statements(tree: _Tree, node: Node, parents: tuple[Node, ...]) -> Iterator[Mutant]:
    if node["nodeType"] in STATEMENTS or (node["nodeType"] == "YulAssignment"):
        start, length = tree.span(node)
        semicolon = 0 if node["nodeType"].startswith("Yul") else 1
        whole = {"nodeType": "", "src": f"{start}:{length + semicolon}:0"}
        is_guarded_revert = node["nodeType"] == "RevertStatement" and parents[-1]["nodeType"] == "IfStatement"
        if parents[-1]["nodeType"] != "ForStatement" and not is_guarded_revert:  # "check dropped" is the same
            yield tree.mutant(whole, "{}", "statement dropped")
    if node["nodeType"] == "RevertStatement":
        other = "BadSignature" if "ZeroAddress" in tree.text(node) else "ZeroAddress"
        yield tree.mutant(node["errorCall"], f"VirtualGroups_{other}()", "another error")


def _operators(tree: _Tree, node: Node, _parents: tuple[Node, ...]) -> Iterator[Mutant]:
    if node["nodeType"] == "BinaryOperation":
        left, right = tree.text(node["leftExpression"]), tree.text(node["rightExpression"])
        for operator in OTHER_OPERATORS.get(node["operator"], ()):
            yield tree.mutant(node, f"{left} {operator} {right}", "operator")
        if node["operator"] in ("&&", "||", "|", "+"):
            yield tree.mutant(node, left, "right side dropped")
            yield tree.mutant(node, right, "left side dropped")
    if node["nodeType"] == "UnaryOperation":
        operand = tree.text(node["subExpression"])
        yield tree.mutant(node, operand, "operator dropped")
        if node["operator"] == "++":
            yield tree.mutant(node, f"--{operand}", "operator")


def _constants(tree: _Tree, node: Node, _parents: tuple[Node, ...]) -> Iterator[Mutant]:
    kind, text = node.get("kind"), tree.text(node) if node["nodeType"] in ("Literal", "YulLiteral") else ""
    if text and kind == "number":
        number = int(text.replace("_", ""), 0)
        yield tree.mutant(node, str(number + 1), "constant")
        if number > 1:
            yield tree.mutant(node, str(number - 1), "constant")
    elif text and kind == "bool":
        yield tree.mutant(node, "false" if text == "true" else "true", "constant")
    elif text and kind == "string":
        yield tree.mutant(node, f'"{text[1:-1]} "', "constant")
    elif text and kind == "hexString":
        yield tree.mutant(node, 'hex"1900"', "constant")
    if node["nodeType"] == "ElementaryTypeNameExpression" and tree.text(node) == "uint56":
        yield tree.mutant(node, "uint48", "narrower type")
        yield tree.mutant(node, "uint64", "wider type")
    if node["nodeType"] == "MemberAccess" and node["memberName"] in STATES:
        for state in STATES:
            if state != node["memberName"]:
                yield tree.mutant(node, f"ObjectState.{state}", "another state")


def _arguments(tree: _Tree, node: Node, parents: tuple[Node, ...]) -> Iterator[Mutant]:
    if node["nodeType"] not in ("FunctionCall", "YulFunctionCall") or parents[-1]["nodeType"] == "VariableDeclaration":
        return
    texts = [tree.text(argument) for argument in node["arguments"]]
    start, _ = tree.span(node["arguments"][0]) if texts else (0, 0)
    end = sum(tree.span(node["arguments"][-1])) if texts else 0
    whole = {"nodeType": "", "src": f"{start}:{end - start}:0"}
    for place in range(len(texts) - 1):
        first, second = node["arguments"][place : place + 2]
        if texts[place] != texts[place + 1] and (_takes_anything(tree, node) or _same_type(first, second)):
            swapped = [*texts[:place], texts[place + 1], texts[place], *texts[place + 2 :]]
            yield tree.mutant(whole, ", ".join(swapped), "arguments swapped")


def _takes_anything(tree: _Tree, call: Node) -> bool:
    return call["nodeType"] == "YulFunctionCall" or tree.text(call["expression"]).startswith("abi.encode")


def _same_type(first: Node, second: Node) -> bool:
    return _type(first) == _type(second)


def _variables(tree: _Tree, node: Node, parents: tuple[Node, ...]) -> Iterator[Mutant]:
    """Use a parameter's or local variable's neighbour of the same type."""
    functions = [parent for parent in parents if parent["nodeType"] == "FunctionDefinition"]
    if node["nodeType"] != "Identifier" or not functions:
        return
    declared = [
        inner
        for inner, _ in _walk(functions[0], ())
        if inner["nodeType"] == "VariableDeclaration" and inner["name"] and inner["id"] < node["id"]
    ]
    own = next((one for one in declared if one["id"] == node["referencedDeclaration"]), None)
    for other in declared:
        if own and other is not own and _type(other) == _type(own):
            yield tree.mutant(node, other["name"], "another variable")


def _type(node: Node) -> str:
    """The type without where it is kept."""
    return re.sub(r" (memory|calldata|storage).*", "", node["typeDescriptions"]["typeString"])


FAULTS: tuple[Callable[[_Tree, Node, tuple[Node, ...]], Iterator[Mutant]], ...] = (
    _conditions,
    _statements,
    _operators,
    _constants,
    _arguments,
    _variables,
)


def find_mutants() -> list[Mutant]:
    """Return all mutants of the contract, in the order of the sources; the same on every machine.

    Raises:
        contracts.build.BuildError: There is no compiler.
    """
    texts = build.read_sources()
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in texts.items()},
        "settings": {"outputSelection": {"*": {"": ["ast"]}}},
    }
    with build.compiler() as (binary, _):
        answer = solcx.compile_standard(request, solc_binary=binary)
    found: dict[str, Mutant] = {}
    for source in SOURCES:
        tree = _Tree(source, texts[source].encode(), answer["sources"][source]["ast"])
        for node, parents in tree.nodes:
            for fault in FAULTS:
                for mutant in fault(tree, node, parents):
                    found.setdefault(f"{mutant.source}:{mutant.start}:{mutant.length}:{mutant.replacement}", mutant)
    seen: Counter[str] = Counter()
    numbered = []
    for mutant in found.values():
        seen[mutant.name] += 1
        numbered.append(replace(mutant, number=seen[mutant.name]))
    return numbered
