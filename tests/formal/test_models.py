"""The symbolic model keeps in step with the page and the code, and its variants are well-formed.

ProVerif itself is no dependency: what it would say is not tested here, but that it would be asked about the protocol as
it stands is.
"""

import re
from dataclasses import fields

import pytest

from group_protocol.channels import Channel, Direction
from group_protocol.messages import KeysSessionAnswer, KeysSessionRequest, SealedAnswer, SealedRequest
from group_protocol.records import SignedRecord
from group_protocol.tickets import AssociationCall, RegistryResult, SessionTerms, Ticket
from tools.formal_models import BLOCKS, FOLDER, ROOT, VARIANTS, judge, make_all, make_variant

MODEL = (FOLDER / "vgroup.pv").read_text("utf-8")
PAGE = (ROOT / "docs" / "protocol.md").read_text("utf-8")
FILES = make_all()
LABELS_WITHOUT_A_KEY = {"vgroup/1 record leaf"}
"""Hashed into an anchor: no key or signature of a session depends on it, and the model knows no anchors."""
LANES = {f"{direction.name} {channel.name}".lower() for direction in Direction for channel in Channel}
RESERVED = """
among axiom channel choice clauses const def diff do elimtrue else equation equivalence event expand fail for forall
foreach free fun get if implementation in inj-event insert lemma let letfun letproba new noninterf noselect not
nounif or otherwise out param phase pred proba process proof public_vars putbegin query reduc restriction secret
select set suchthat sync table then type weaksecret yield
"""
KEYWORDS = frozenset(RESERVED.split())


def code_of(text: str) -> str:
    """Without comments."""
    return re.sub(r"\(\*.*?\*\)", " ", text, flags=re.DOTALL)


# ---- labels ----


def labels_of_page() -> set[str]:
    named = set(re.findall(r'"(vgroup/1[a-z ]*)"', PAGE)) - {"vgroup/1 "} - LABELS_WITHOUT_A_KEY
    derived = set(re.findall(r'Derive\([^,()]+(?:\([^()]*\))?, "([^"]+)"', PAGE))
    assert 'direction ‖ " " ‖ channel' in PAGE
    return named | derived | LANES


def labels_of_code() -> set[str]:
    sources = [path.read_text("utf-8") for path in (ROOT / "group_protocol").rglob("*.py")]
    named = {label for text in sources for label in re.findall(r'b"(vgroup/1[a-z ]*)"', text)} - {"vgroup/1 "}
    assert named >= LABELS_WITHOUT_A_KEY
    named -= LABELS_WITHOUT_A_KEY
    derived = {label for text in sources for label in re.findall(r'\bderive\([^()]*?, "([a-z ]+)"', text)}
    return named | derived | LANES


def test_labels_of_model_page_and_code_are_the_same_set() -> None:
    of_model = re.findall(r'const l_\w+: label\.\s+\(\* label "([^"]+)" \*\)', MODEL)
    assert len(set(of_model)) == len(of_model) == 16
    assert set(of_model) == labels_of_page() == labels_of_code()


def test_every_label_of_the_model_is_used() -> None:
    for name in re.findall(r"const (l_\w+): label", MODEL):
        assert len(re.findall(rf"\b{name}\b", code_of(MODEL))) > 1, name


# ---- message fields ----


def fields_of_model(message: str) -> list[str]:
    """As the comment below the constructor says, whose arity has to agree."""
    found = re.search(rf"fun \w+\(([^)]*)\): bitstring \[data\]\.\n\(\* {re.escape(message)} = ([\w ]+) \*\)", MODEL)
    assert found, message
    named = found.group(2).split()
    assert len(named) == len(found.group(1).split(","))
    return named


def fields_of_page(message: str) -> list[str]:
    """Of a body: the names of its JSON fields. Of a layout: the names between the bars."""
    layout = re.search(rf"^{re.escape(message)}\s+= (.*?)(?=\n\w|\n +\w+ +[=:]|\n```)", PAGE, re.MULTILINE | re.DOTALL)
    if layout:
        parts = re.sub(r"\([^()]*(?:\([^()]*\)[^()]*)*\)|[\[\]]", " ", layout.group(1)).split("‖")
        return [re.sub(r"\W+", "_", part.strip()) for part in parts]
    body = re.search(rf"^{re.escape(message)} +(\{{.*?\}})", PAGE, re.MULTILINE)
    assert body, message
    return re.findall(r'"(\w+)"', re.sub(r'":"?\w*"?', '"', re.sub(r"\[, .*?\]", "", body.group(1))))


EXTENSIONS = {"software", "standing"}
"""Fields of the code that travel as typed extensions of M4 (§3.6). A ticket with a standing opens no session."""
NOT_MODELLED = {"cookie", "extensions", "proof_length", "01", "payload_length", *EXTENSIONS}
TERMS = [
    "evidence_policy",
    "records_per_checkpoint",
    "seconds_per_checkpoint",
    "largest_payload",
    "session_lifetime",
]


@pytest.mark.parametrize(
    "message",
    ["M1", "M2", "M3", "M4", "M3 plaintext", "M4 plaintext", "M5 plaintext", "M6 plaintext", "signed record"],
)
def test_model_has_the_fields_of_the_page_in_their_order(message: str) -> None:
    of_page = [name for name in fields_of_page(message) if name not in NOT_MODELLED]
    of_model = [part for name in fields_of_model(message) for part in (TERMS if name == "terms" else [name])]
    assert of_model == of_page


@pytest.mark.parametrize(
    ("message", "kind", "renamed"),
    [
        ("M1", KeysSessionRequest, {}),
        ("M2", KeysSessionAnswer, {}),
        ("M3", SealedRequest, {}),
        ("M4", SealedAnswer, {}),
        (
            "M4 plaintext",
            Ticket,
            {"address": "address_slave", "deadline_unix_s": "deadline", "last_seq": "last_record_seq"},
        ),
        ("M5 plaintext", AssociationCall, {"deadline_unix_s": "deadline"}),
        ("M6 plaintext", RegistryResult, {}),
        ("signed record", SignedRecord, {"receiver": "to"}),
    ],
)
def test_model_has_the_fields_of_the_code_in_their_order(message: str, kind: type, renamed: dict[str, str]) -> None:
    of_code = [renamed.get(name, name) for name in kind.__annotations__]
    of_model = [name for name in fields_of_model(message) if name != "v"]
    assert of_model == [name for name in of_code if name not in NOT_MODELLED]


def test_terms_of_the_page_are_those_of_the_code() -> None:
    assert len(fields(SessionTerms)) == len(TERMS)


def test_transcript_of_the_model_is_that_of_the_page() -> None:
    page = re.search(r"TH1  = H\(lp\((.*?)\)\)$", PAGE, re.MULTILINE)
    assert page
    of_page = [re.sub(r"list\((\w+)\)", r"\1", part.strip()).strip('"') for part in page.group(1).split(",")]
    of_model = set(re.findall(r"let th1 = H\(\((.*?)\)\) in", code_of(MODEL)))
    assert len(of_model) == 1
    names = {"l_version": "vgroup/1", "aead_name": "aead", "gid_unknown": "gid"}
    assert [names.get(part.strip(), part.strip()) for part in of_model.pop().split(",")] == of_page


# ---- variants ----


def declarations(code: str) -> dict[str, int]:
    """Names that take arguments, with how many."""
    declared = re.findall(r"\b(?:fun|event|table|letfun|let) (\w+)\(([^()]*)\)", code)
    arity = {name: len(arguments.split(",")) for name, arguments in declared}
    for name, arguments in re.findall(r"\breduc forall [^;]*;\s*(\w+)\((.*?)\) = ", code):
        arity[name] = top_level_commas(f"{arguments})") + 1
    return arity


def top_level_commas(text: str) -> int:
    """Commas up to the bracket that closes what was open before the text."""
    depth, commas = 0, 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            break
        commas += character == "," and depth == 0
    return commas


@pytest.mark.parametrize("name", FILES)
def test_variant_is_balanced_declares_its_names_and_calls_with_the_right_number(name: str) -> None:
    code = code_of(FILES[name][0])
    assert code.count("(") == code.count(")")
    arity = declarations(code)
    for call in re.finditer(r"\b([a-zA-Z_]\w*)\(", code):
        if call.group(1) in KEYWORDS or call.group(1) in ("event", "attacker"):
            continue
        assert top_level_commas(code[call.end() :]) + 1 == arity[call.group(1)], call.group(1)
    known = (
        set(arity) | set(re.findall(r"\btype (\w+)", code)) | {"bitstring", "attacker", "ignoreTypes", "false", "inj"}
    )
    known |= {"data", "private", "typeConverter"}
    for names in re.findall(r"\b(?:const|free) ([\w, ]+):", code):
        known |= set(re.split(r",\s*", names))
    known |= set(re.findall(r"\b(\w+): ?\w+", code)) | set(re.findall(r"\blet (\w+) =", code))
    known |= set(re.findall(r"\bevent (\w+)\.", code))
    used = set(re.findall(r"(?<![\w.])[a-zA-Z_]\w*", code))
    assert used - known - KEYWORDS == set()


@pytest.mark.parametrize("name", FILES)
def test_no_name_is_a_keyword(name: str) -> None:
    code = code_of(FILES[name][0])
    named = set(re.findall(r"\b(?:let|new|const|free|fun|type|event|table|letfun) (\w+)\b(?=[ :=(.,])", code))
    assert named & KEYWORDS == set()


@pytest.mark.parametrize("name", FILES)
def test_every_query_has_its_result(name: str) -> None:
    text, due = FILES[name]
    assert len(re.findall(r"^query ", text, re.MULTILINE)) == len(due)
    assert set(due) <= {"t", "f", "-"}
    assert due[-1] == "f", "the last query only shows that the model runs to its end"


def test_every_block_is_turned_off_by_a_variant_and_stands_in_the_model() -> None:
    assert frozenset().union(*(variant.off for variant in VARIANTS.values())) == set(BLOCKS)
    assert set(re.findall(r"\(\*@ifdef (\w+)@\*\)", MODEL)) == set(BLOCKS)


def test_every_variant_reads_differently() -> None:
    assert len({text for text, _ in FILES.values()}) == len(FILES)
    assert code_of(FILES["h1"][0]).split() == code_of(MODEL).split()


def test_unknown_block_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown block"):
        make_variant("(*@ifdef H2@*) a (*@else b @end*)", frozenset())


def test_judge_reads_the_summary_and_names_what_differs() -> None:
    output = """RESULT not attacker(s[]) is true.
--------------------------------------------------------------
Verification summary:

Query not attacker(s[]) is true.

Query inj-event(A(x)) ==> inj-event(B(x)) cannot be proved.

Query not event(End) is false.

--------------------------------------------------------------
"""
    assert judge(output, "t-f") == []
    assert judge(output, "ttf") == ["Q2 is ?, not t"]
    assert judge(output, "tt") == ["3 results, 2 are due"]


def test_readme_names_every_variant() -> None:
    readme = (FOLDER / "README.md").read_text("utf-8")
    for name in FILES:
        assert f"`{name}`" in readme, name
