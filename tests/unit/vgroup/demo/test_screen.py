"""Rendering: live table on a terminal, plain lines elsewhere."""

import io
from typing import Any

from rich.console import Console

from vgroup.demo.screen import Screen, SlaveRow, slaves_table

ROW = SlaveRow("slave-10", "backing-off", "9d9c", "data3.csv", "stream", 12_345, 12_344, 1_234_567, 0.25)


def screen_on(file: io.StringIO, **console_options: Any) -> Screen:
    return Screen(Console(file=file, **console_options))


def test_without_a_terminal_slaves_are_whole_lines() -> None:
    file = io.StringIO()
    with screen_on(file) as screen:
        assert not screen.is_live
        screen.write_slaves([ROW])
    assert file.getvalue() == (
        "    slave-10 backing-off 9d9c data3.csv over stream:"
        " 12345 records sent, 12344 acknowledged, 1,234,567 readings\n"
    )


def test_without_a_terminal_what_is_going_on_is_not_written() -> None:
    file = io.StringIO()
    with screen_on(file) as screen:
        screen.doing("waiting")
        screen.show_slaves([ROW], "footer")
        screen.hide_slaves()
    assert file.getvalue() == ""


def test_marks_tell_success_and_failure_without_colour() -> None:
    file = io.StringIO()
    with screen_on(file) as screen:
        screen.done("this held")
        screen.failed("that did not")
    assert file.getvalue() == "  ✓ this held\n  ✗ that did not\n"


def test_text_with_brackets_is_shown_as_it_is() -> None:
    file = io.StringIO()
    with screen_on(file) as screen:
        screen.failed("[bold]statuses [0, 1][/bold]")
    assert "[bold]statuses [0, 1][/bold]" in file.getvalue()


def test_table_of_a_long_run_fits_into_80_columns() -> None:
    file = io.StringIO()
    Console(file=file, width=80).print(slaves_table([ROW]))
    lines = file.getvalue().splitlines()
    assert len(lines) == 2
    assert "0.2 s" in lines[1]


def test_long_line_on_a_terminal_stays_indented() -> None:
    file = io.StringIO()
    screen_on(file, force_terminal=True, width=40, color_system=None).done("word " * 15)
    first, *rest = (line.rstrip() for line in file.getvalue().splitlines())
    assert first.startswith("  ✓ word")
    assert rest
    assert all(line.startswith("    word") for line in rest)


def test_live_table_leaves_room_on_a_low_terminal() -> None:
    file = io.StringIO()
    screen = screen_on(file, force_terminal=True, width=80, height=14, color_system=None)
    with screen:
        screen.show_slaves([ROW] * 40, "footer")
    assert "more slaves" in file.getvalue()
