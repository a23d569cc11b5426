from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

from group_protocol.errors import ConfigurationError
from system_ports.settings import (
    Problem,
    Rule,
    Source,
    broken_rules,
    environment_source,
    merge,
    read_source,
    refuse,
    unknown_variables,
)


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Settings:
    folder: Path = Path("/srv")
    port: int = 3000
    pause_s: float = 1.0
    host: str = "localhost"
    is_loud: bool = False
    colour: Colour = Colour.RED
    colours: tuple[Colour, ...] = (Colour.RED,)


def merged(*sources: Source) -> tuple[Settings, list[str]]:
    config, _, problems = merge(Settings(), sources, ["folder"], {})
    return config, [str(problem) for problem in problems]


def test_each_kind_is_read_from_text_and_from_toml_values() -> None:
    wanted = Settings(
        port=1, pause_s=2.0, host="h", is_loud=True, colour=Colour.BLUE, colours=(Colour.BLUE, Colour.RED)
    )
    text = {"port": "1", "pause_s": "2", "host": " h ", "is_loud": "yes", "colour": "blue", "colours": "BLUE red"}
    toml = {"port": 1, "pause_s": 2, "host": "h", "is_loud": True, "colour": "BLUE", "colours": ["BLUE", "RED"]}
    assert merged(Source("text", text)) == (wanted, [])
    assert merged(Source("toml", toml)) == (wanted, [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", True),
        ("port", 1.5),
        ("port", "many"),
        ("pause_s", True),
        ("pause_s", "soon"),
        ("host", 7),
        ("is_loud", 1),
        ("is_loud", "perhaps"),
        ("colour", "GREEN"),
        ("colours", 7),
    ],
)
def test_value_of_another_kind_keeps_the_default_and_says_what_it_takes(name: str, value: object) -> None:
    config, _, problems = merge(Settings(), [Source("f.toml", {name: value}, {name: 4})], ["folder"], {})
    assert config == Settings()
    assert [(problem.line, bool(problem.remedy)) for problem in problems] == [(4, True)]


def test_every_mistake_of_a_file_is_found_at_once_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('# a comment\nprot = 1\nhost = "h"\n\n  pause_s = "soon"\n[colours]\n')
    source, problems = read_source(path)
    assert problems == []
    config, found = merged(source)
    assert config.host == "h"
    assert found == [
        f"{path}:2: there is no setting 'prot'",
        f"{path}:5: pause_s cannot be 'soon'",
        f"{path}:6: colours cannot be {{}}",
    ]


def test_unknown_name_gets_the_nearest_known_one_as_remedy() -> None:
    _, _, problems = merge(Settings(), [Source("f", {"prot": 1, "xyzzy": 2, "folder": "/x"})], ["folder"], {})
    assert problems[0].remedy == "Did you mean port?"
    assert "sample" in problems[1].remedy
    assert problems[2].message == "there is no setting 'folder'"


def test_file_that_is_no_toml_says_on_which_line(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("port = 1\nhost = unquoted\n")
    _, problems = read_source(path)
    assert [(problem.line, problem.source) for problem in problems] == [(2, str(path))]


def test_missing_file_gives_nothing_and_an_unreadable_one_its_problem(tmp_path: Path) -> None:
    assert read_source(tmp_path / "none.toml") == (Source(str(tmp_path / "none.toml"), {}), [])
    (tmp_path / "latin.toml").write_bytes(b"host = '\xe9'\n")
    assert len(read_source(tmp_path / "latin.toml")[1]) == 1


def test_environment_gives_known_names_and_names_the_others() -> None:
    environment = {"V_PORT": "7", "V_PROT": "8", "V_DIR": "/x", "OTHER": "1", "V_FOLDER": "/x"}
    assert environment_source(Settings, "V_", ["folder"], environment).settings == {"port": "7"}
    unknown = unknown_variables(Settings, "V_", environment, ["V_DIR"])
    assert [(problem.message, problem.remedy) for problem in unknown] == [
        ("V_PROT sets nothing", "Did you mean V_PORT?")
    ]


def test_broken_rule_names_the_place_the_value_came_from() -> None:
    config, origins, _ = merge(Settings(), [Source("f.toml", {"port": 0}, {"port": 9})], [], {})
    rules = [Rule("port", config.port > 0, "above 0"), Rule("pause_s", is_kept=True, allowed="")]
    assert broken_rules(rules, config, origins) == [Problem("f.toml", 9, "port cannot be 0", "It is above 0.")]


def test_refusing_names_one_problem_by_itself_and_several_together() -> None:
    one, two = Problem("f", 1, "first", "Do this."), Problem("f", None, "second", "Do that.")
    refuse([])
    with pytest.raises(ConfigurationError, match=r"^f:1: first$") as alone:
        refuse([one])
    assert alone.value.remedy == "Do this."
    with pytest.raises(ConfigurationError) as both:
        refuse([one, two])
    assert all(text in str(both.value) for text in ("2 settings", "f:1: first", "Do this.", "f: second", "Do that."))
