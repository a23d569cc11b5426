"""``vgroup slave``: the device's commands. Nothing heavy is imported before a command needs it."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.exit_codes import ExitCode
from slave_client.authorities import without_authorities
from slave_client.config import SensorConfig, SlaveConfig, load_config
from slave_client.received_message import ReceivedMessage
from slave_client.sensors.catalogue import list_sensors, parse_sensor_text

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

_StateDir = Annotated[
    Path | None, typer.Option(help="Keys, state and buffer. Default: $VGROUP_SLAVE_DIR or ~/.local/state/vgroup/slave.")
]
_Config = Annotated[
    Path | None, typer.Option("--config", help="TOML file. Default: slave.toml in the state directory.")
]
_Suites = Annotated[
    str | None, typer.Option(help="Key-exchange suites to offer, the preferred first: H1,E1 or H1 or E1 or R1.")
]
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("join")
def join_command(
    pairing_string: Annotated[str, typer.Argument(metavar="STRING", help="What `vgroup device invite` printed.")],
    *,
    state_dir: _StateDir = None,
    config_file: _Config = None,
    suites: _Suites = None,
    patience_s: Annotated[
        float, typer.Option(help="Seconds to go on trying while the master cannot be reached.")
    ] = 30.0,
    as_json: _AsJson = False,
) -> None:
    """Pair with a master, get its token, and associate through the contract. Safe to run again at any time."""
    from slave_client.composition import join  # noqa: PLC0415 - aiohttp is loaded by the commands that need it

    config = load_config(state_dir=state_dir, config_file=config_file, options={"suites": suites})
    fields = asyncio.run(join(config, pairing_string, patience_s=patience_s, report=_say))
    if as_json:
        typer.echo(json.dumps(fields))
        return
    typer.echo(f"This device is {fields['object_id']} in group {fields['group']}.")
    typer.echo("Next: vgroup slave run --sensor psutil")


@app.command("run")
def run_command(  # noqa: PLR0913 - Typer makes an option of each parameter
    *,
    sensors: Annotated[
        list[str] | None,
        typer.Option("--sensor", help="KIND:OPTION=VALUE,… (repeatable); see `vgroup slave sensors`."),
    ] = None,
    via: Annotated[str | None, typer.Option(help="stream or data.")] = None,
    speed: Annotated[float | None, typer.Option(help="Replay recordings so many times as fast.")] = None,
    state_dir: _StateDir = None,
    config_file: _Config = None,
    suites: _Suites = None,
    batch_readings: Annotated[int | None, typer.Option(help="Most readings in a record.")] = None,
    batch_s: Annotated[float | None, typer.Option(help="Most seconds that a record gathers readings.")] = None,
    status_file: Annotated[Path | None, typer.Option(help="Write the status here, twice a second.")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Write the status here once the first ACK has come.")] = None,
    stays: Annotated[bool, typer.Option("--stay", help="Go on when all recordings have ended.")] = False,
) -> None:
    """Measure, and deliver to the master, until stopped. Without a master the readings wait in the buffer."""
    with without_authorities():
        from slave_client.composition import RunFiles, run  # noqa: PLC0415 - as above

    options = {
        "via": via,
        "suites": suites,
        "batch_readings": batch_readings,
        "batch_s": batch_s,
        "status_s": None if status_file is None else 0.5,
        "sensors": tuple(SensorConfig(*parse_sensor_text(text)) for text in sensors) if sensors else None,
    }

    def read_config() -> SlaveConfig:
        config = load_config(state_dir=state_dir, config_file=config_file, options=options)
        return config if speed is None else _with_speed(config, speed)

    files = RunFiles(ready_file, status_file)
    ended = run(read_config(), files, ends_with_sensors=not stays, report=_say, read_config=read_config)
    if asyncio.run(ended):
        raise typer.Exit(ExitCode.INTERRUPTED)


@app.command("status")
def status_command(
    *,
    state_dir: _StateDir = None,
    status_file: Annotated[Path | None, typer.Option(help="Where the daemon was told to write it.")] = None,
    as_json: _AsJson = False,
) -> None:
    """Show who this device is, what its daemon does, and how full its buffer is."""
    from slave_client.inspection import read_device_status, status_lines  # noqa: PLC0415 - as above

    config = load_config(state_dir=state_dir, config_file=None, options={})
    fields = read_device_status(config.state_dir, status_file)
    typer.echo(json.dumps(fields, indent=1) if as_json else "\n".join(status_lines(fields)))


@app.command("send")
def send_command(  # noqa: PLR0913 - Typer makes an option of each parameter
    text: Annotated[str | None, typer.Argument(help="What to say; or give --value.")] = None,
    *,
    to: Annotated[str, typer.Option(help="The receiver's oid, a name of [contacts] in slave.toml, or 'master'.")],
    value: Annotated[float | None, typer.Option(help="A number in the place of a text.")] = None,
    name: Annotated[str | None, typer.Option(help="What it is, as a sensor's name.")] = None,
    unit: Annotated[str | None, typer.Option(help="Its unit, as in SenML.")] = None,
    wait_s: Annotated[float, typer.Option(help="Seconds to wait for the master's word, if the slave runs.")] = 5.0,
    state_dir: _StateDir = None,
    config_file: _Config = None,
    as_json: _AsJson = False,
) -> None:
    """Send a signed message to another member of the group; it waits at the master while the receiver is away."""
    from slave_client.message_commands import make_wish, say_sent, send_now  # noqa: PLC0415 - as above
    from slave_client.state_directory import is_in_use  # noqa: PLC0415 - as above

    config = load_config(state_dir=state_dir, config_file=config_file, options={})
    wish = make_wish(config, to, text=text, value=value, name=name, unit=unit, wait_s=wait_s)
    sent = send_now(config, wish)
    if as_json:
        typer.echo(json.dumps({"seq": sent.seq, "is_acknowledged": sent.is_acknowledged}))
    else:
        typer.echo(say_sent(sent, is_running=is_in_use(config.state_dir)))


@app.command("inbox")
def inbox_command(
    *,
    after: Annotated[int, typer.Option(help="Only messages with a higher number.", min=0)] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing messages as they come.")] = False,
    state_dir: _StateDir = None,
    config_file: _Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for each message.")] = False,
) -> None:
    """Show the messages that other members sent to this device. Each was verified when it came."""
    from slave_client.message_commands import message_json, message_lines, read_inbox  # noqa: PLC0415 - as above

    config = load_config(state_dir=state_dir, config_file=config_file, options={})
    if config.via == "data":
        _say("This device is configured with via = data: messages come over the stream alone.")
    names = {oid: name for name, oid in config.contacts}

    def show(message: ReceivedMessage) -> None:
        typer.echo(message_json(message) if as_json else "\n".join(message_lines(message, names)))

    read_inbox(config.state_dir, after=after, follow=follow, show=show)


@app.command("rotate")
def rotate_command(*, state_dir: _StateDir = None, config_file: _Config = None, as_json: _AsJson = False) -> None:
    """Change the device's key in the contract. Its id and its membership stay. Stop the running slave first.

    It ends in one of three ways, and says in which: promoted (the new key has proved itself on a connection), rolled
    back (the old key stays, the new one is thrown away), or pending (both are kept; run it again).
    """
    from slave_client.composition import rotate  # noqa: PLC0415 - as above

    config = load_config(state_dir=state_dir, config_file=config_file, options={})
    fields = asyncio.run(rotate(config, report=_say))
    typer.echo(json.dumps(fields) if as_json else f"promoted: this device's address is now {fields['address']}.")


@app.command("find")
def find_command(
    *,
    wait_s: Annotated[float, typer.Option(help="Seconds to listen.", min=0.5, max=60)] = 4.0,
    state_dir: _StateDir = None,
    config_file: _Config = None,
    as_json: _AsJson = False,
) -> None:
    """List the masters in sight: those that the local network tells of by mDNS, each asked to prove its key."""
    from slave_client.finding.listing import find_masters, masters_json, masters_lines  # noqa: PLC0415 - as above
    from system_ports.randomness import SystemRandom  # noqa: PLC0415 - as above

    config = load_config(state_dir=state_dir, config_file=config_file, options={})
    seen = asyncio.run(find_masters(config.state_dir, config.suites, SystemRandom(), search_s=wait_s))
    typer.echo(masters_json(seen) if as_json else "\n".join(masters_lines(seen)))


@app.command("sensors")
def sensors_command(*, as_json: _AsJson = False) -> None:
    """List the sensors and their options."""
    sensors = list_sensors()
    if as_json:
        typer.echo(json.dumps(sensors))
        return
    for name, summary in sensors.items():
        typer.echo(f"{name:8} {summary.replace('``', '').removeprefix(f'{name}: ')}")


def _with_speed(config: SlaveConfig, speed: float) -> SlaveConfig:
    """Every recording at this speed."""
    if not speed > 0:
        raise ConfigurationError(
            f"--speed {speed} is not above zero", remedy="Say 10 for ten times as fast.", code=ErrorCode.ARGUMENT_WRONG
        )
    sensors = tuple(
        replace(sensor, options={**sensor.options, "speed": str(speed)}) if sensor.kind == "replay" else sensor
        for sensor in config.sensors
    )
    return replace(config, sensors=sensors)


def _say(line: str) -> None:
    """A step as it happens, on standard error, so that standard output stays clean for the answer."""
    typer.echo(line, err=True)
