from collections.abc import AsyncIterator
from importlib.metadata import EntryPoint, files
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.senml import Reading
from slave_client.errors import SensorError
from slave_client.sensors import catalogue
from slave_client.sensors.catalogue import list_sensors, make_sensor, parse_sensor_text
from slave_client.sensors.ports import Sensor
from system_ports.clock import SystemClock
from tests.support.seeded import ManualClock

START_UNIX_S = 1_700_000_000.0


async def take(sensor: Sensor, count: int) -> list[Reading]:
    taken: list[Reading] = []
    async for reading in sensor.readings():
        taken.append(reading)
        if len(taken) == count:
            break
    return taken


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def replay(path: Path, **options: str) -> Sensor:
    return make_sensor("replay", {"path": str(path), "speed": "1000000", **options}, ManualClock())


async def test_recording_of_one_column_is_dated_by_its_rate(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", "530\n518\n506\n")
    readings = await take(replay(path, rate_hz="100"), 10)
    assert readings == [Reading("ppg", START_UNIX_S + n / 100, value) for n, value in enumerate((530.0, 518.0, 506.0))]


async def test_recording_with_a_timer_in_milliseconds_keeps_its_spacing(tmp_path: Path) -> None:
    path = write(tmp_path / "data2.csv", "timer,hr\n10.0,515\n18.5,514\n27.25,513\n")
    readings = await take(replay(path, time="timer", time_unit="ms", column="hr", name="pulse", unit="1"), 10)
    assert [(r.value, r.unit, r.name) for r in readings] == [
        (515.0, "1", "pulse"),
        (514.0, "1", "pulse"),
        (513.0, "1", "pulse"),
    ]
    assert [r.time_s - START_UNIX_S for r in readings] == pytest.approx([0.0, 0.0085, 0.01725], abs=1e-6)


async def test_recording_with_clock_times_keeps_its_spacing_and_never_runs_backwards(tmp_path: Path) -> None:
    path = write(
        tmp_path / "data3.csv",
        "datetime,hr\n2016-11-24 13:58:58.081000,326\n2016-11-24 13:58:59,327\n"
        "2016-11-24 13:58:58.5,328\n2016-11-24 13:59:00,1\n",
    )
    readings = await take(replay(path, time="datetime", time_unit="clock", column="hr"), 10)
    assert [r.time_s - START_UNIX_S for r in readings] == pytest.approx([0.0, 0.919, 0.919, 1.919])


async def test_repeated_recording_goes_on_in_time(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", "1\n2\n")
    readings = await take(replay(path, rate_hz="10", repeat="yes"), 5)
    assert [r.value for r in readings] == [1.0, 2.0, 1.0, 2.0, 1.0]
    assert [r.time_s - START_UNIX_S for r in readings] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("name", "options", "samples", "length_s"),
    [
        ("data.csv", "rate_hz=100", 2_483, 24.82),
        ("data2.csv", "time=timer,time_unit=ms,column=hr", 15_000, 128.21),
        ("data3.csv", "time=datetime,time_unit=clock,column=hr", 68_476, 681.898),
    ],
)
async def test_recording_that_heartpy_ships_is_read_whole(
    name: str, options: str, samples: int, length_s: float
) -> None:
    path = next(file.locate() for file in files("heartpy") or () if str(file) == f"heartpy/data/{name}")
    kind, values = parse_sensor_text(f"replay:{path},{options},speed=1e9")
    readings = await take(make_sensor(kind, values, ManualClock()), 1_000_000)
    assert len(readings) == samples
    assert readings[-1].time_s - readings[0].time_s == pytest.approx(length_s, abs=1e-5)
    assert [reading.time_s for reading in readings] == sorted(reading.time_s for reading in readings)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("530\nx\n", {"rate_hz": "100"}),
        ("530\nnan\n", {"rate_hz": "100"}),
        ("a,b\n1\n", {"time": "a", "time_unit": "s", "column": "b"}),
        ("a,b\nyesterday,1\n", {"time": "a", "time_unit": "clock", "column": "b"}),
        ("a,b\n1,2\n", {"rate_hz": "1", "column": "c"}),
        ("1,2\n", {"rate_hz": "1", "column": "3"}),
        ("a,b\n1,2\n", {"time": "c"}),
    ],
)
async def test_recording_that_cannot_be_read_raises_sensor_error(
    tmp_path: Path, text: str, options: dict[str, str]
) -> None:
    with pytest.raises(SensorError):
        await take(replay(write(tmp_path / "bad.csv", text), **options), 10)


@pytest.mark.parametrize("text", ["", "only,a,header\n"])
async def test_empty_recording_raises_sensor_error_at_the_check(tmp_path: Path, text: str) -> None:
    with pytest.raises(SensorError, match="no sample"):
        await replay(write(tmp_path / "empty.csv", text), rate_hz="1").check()


async def test_missing_recording_raises_sensor_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(SensorError, match=r"nowhere\.csv"):
        await replay(tmp_path / "nowhere.csv", rate_hz="1").check()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"path": "x"},
        {"path": "x", "rate_hz": "100", "time": "1"},
        {"path": "x", "rate_hz": "0"},
        {"path": "x", "rate_hz": "fast"},
        {"path": "x", "rate_hz": "inf"},
        {"path": "x", "rate_hz": "1", "speed": "-1"},
        {"path": "x", "rate_hz": "1", "colour": "red"},
        {"path": "x", "time": "1", "time_unit": "weeks"},
    ],
)
def test_wrong_replay_options_raise_configuration_error(options: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        make_sensor("replay", options, ManualClock())


W1_GOOD = "73 01 4b 46 7f ff 0d 10 41 : crc=41 YES\n73 01 4b 46 7f ff 0d 10 41 t=23187\n"


async def test_one_wire_thermometer_is_read(tmp_path: Path) -> None:
    write(tmp_path / "28-0316a2795bff" / "w1_slave", W1_GOOD)
    write(tmp_path / "00-not-a-thermometer" / "w1_slave", "nothing")
    sensor = make_sensor("w1", {"root": str(tmp_path)}, ManualClock())
    await sensor.check()
    assert await take(sensor, 1) == [Reading("temperature", START_UNIX_S, 23.187, "Cel")]


async def test_one_wire_thermometer_below_zero_is_read(tmp_path: Path) -> None:
    write(tmp_path / "28-1" / "w1_slave", W1_GOOD.replace("t=23187", "t=-1062"))
    assert (await take(make_sensor("w1", {"root": str(tmp_path)}, ManualClock()), 1))[0].value == -1.062


async def test_one_wire_thermometer_of_a_newer_driver_is_read(tmp_path: Path) -> None:
    write(tmp_path / "28-1" / "temperature", "23187\n")
    assert (await take(make_sensor("w1", {"root": str(tmp_path)}, ManualClock()), 1))[0].value == 23.187


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (W1_GOOD.replace("YES", "NO"), "checksum"),
        (W1_GOOD.replace("t=23187", "t=85000"), "power-on"),
        (W1_GOOD.replace("t=23187", ""), "no temperature"),
        ("", "checksum"),
    ],
)
async def test_one_wire_thermometer_that_measures_nothing_raises_sensor_error(
    tmp_path: Path, content: str, message: str
) -> None:
    write(tmp_path / "28-1" / "w1_slave", content)
    with pytest.raises(SensorError, match=message):
        await make_sensor("w1", {"root": str(tmp_path)}, ManualClock()).check()


async def test_missing_one_wire_bus_raises_sensor_error_that_says_what_to_configure(tmp_path: Path) -> None:
    with pytest.raises(SensorError) as caught:
        await make_sensor("w1", {"root": str(tmp_path / "none")}, ManualClock()).check()
    assert "dtoverlay=w1-gpio" in caught.value.remedy


async def test_one_of_several_one_wire_thermometers_has_to_be_named(tmp_path: Path) -> None:
    write(tmp_path / "28-1" / "w1_slave", W1_GOOD)
    write(tmp_path / "28-2" / "w1_slave", W1_GOOD.replace("23187", "20000"))
    with pytest.raises(SensorError, match="several"):
        await make_sensor("w1", {"root": str(tmp_path)}, ManualClock()).check()
    sensor = make_sensor("w1", {"root": str(tmp_path), "id": "28-2"}, ManualClock())
    assert (await take(sensor, 1))[0].value == 20.0


async def test_iio_channel_is_scaled_with_its_shared_scale_and_own_offset(tmp_path: Path) -> None:
    device = tmp_path / "iio:device0"
    write(device / "name", "ads1015\n")
    write(device / "in_voltage0_raw", "500\n")
    write(device / "in_voltage0_offset", "-100\n")
    write(device / "in_voltage_scale", "3.0\n")
    sensor = make_sensor("iio", {"root": str(tmp_path), "channel": "in_voltage0"}, ManualClock())
    assert await take(sensor, 1) == [Reading("voltage0", START_UNIX_S, pytest.approx(1.2), "V")]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("channel", "files", "value", "unit"),
    [
        ("in_temp", {"in_temp_input": "36600"}, 36.6, "Cel"),
        ("in_temp", {"in_temp_raw": "100", "in_temp_offset": "20", "in_temp_scale": "250"}, 30.0, "Cel"),
        ("in_pressure", {"in_pressure_input": "101.325"}, 101_325.0, "Pa"),
        ("in_humidityrelative", {"in_humidityrelative_input": "45000"}, 45.0, "%RH"),
        ("in_accel_x", {"in_accel_x_raw": "100", "in_accel_scale": "0.01"}, 1.0, "m/s2"),
        ("in_intensity_red", {"in_intensity_red_raw": "7"}, 7.0, None),
    ],
)
async def test_iio_quantities_come_in_their_senml_unit(
    tmp_path: Path, channel: str, files: dict[str, str], value: float, unit: str | None
) -> None:
    for name, text in files.items():
        write(tmp_path / "iio:device1" / name, text + "\n")
    reading = (await take(make_sensor("iio", {"root": str(tmp_path), "channel": channel}, ManualClock()), 1))[0]
    assert reading.value == pytest.approx(value)
    assert reading.unit == unit


async def test_iio_device_is_chosen_by_chip_name(tmp_path: Path) -> None:
    for number, chip in enumerate(("bme280", "max30102")):
        write(tmp_path / f"iio:device{number}" / "name", chip + "\n")
        write(tmp_path / f"iio:device{number}" / "in_temp_input", f"{20 + number}000\n")
    with pytest.raises(SensorError, match="several"):
        await make_sensor("iio", {"root": str(tmp_path), "channel": "in_temp"}, ManualClock()).check()
    sensor = make_sensor("iio", {"root": str(tmp_path), "channel": "in_temp", "device": "max30102"}, ManualClock())
    assert (await take(sensor, 1))[0].value == 21.0


@pytest.mark.parametrize("text", ["", "busy", "nan", "inf"])
async def test_iio_file_without_a_number_raises_sensor_error(tmp_path: Path, text: str) -> None:
    write(tmp_path / "iio:device0" / "in_temp_input", text)
    with pytest.raises(SensorError):
        await make_sensor("iio", {"root": str(tmp_path), "channel": "in_temp"}, ManualClock()).check()


async def test_missing_iio_device_raises_sensor_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(SensorError) as caught:
        await make_sensor("iio", {"root": str(tmp_path), "channel": "in_temp"}, ManualClock()).check()
    assert "driver" in caught.value.remedy


async def test_processor_load_and_temperature_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda: 25.0)
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: {"cpu_thermal": [SimpleNamespace(current=48.5)]})
    readings = await take(make_sensor("psutil", {}, ManualClock()), 2)
    assert [(r.name, r.value, r.unit) for r in readings] == [("cpu_load", 0.25, "/"), ("cpu_temperature", 48.5, "Cel")]


@pytest.mark.parametrize("hidden", ["missing", "empty"])
async def test_machine_that_hides_its_load_still_gives_its_temperature_and_says_so_without_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hidden: str
) -> None:
    """Containers hide /proc/stat, or put an empty file there."""
    if hidden == "empty":
        (tmp_path / "stat").touch()
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: {"cpu_thermal": [SimpleNamespace(current=48.5)]})
    (reading,) = await take(make_sensor("psutil", {}, ManualClock()), 1)
    assert reading.name == "cpu_temperature"
    with pytest.raises(SensorError, match="no processor load"):
        await make_sensor("psutil", {"what": "load"}, ManualClock()).check()
    monkeypatch.setattr(psutil, "sensors_temperatures", dict)
    with pytest.raises(SensorError, match="neither") as caught:
        await make_sensor("psutil", {}, ManualClock()).check()
    assert caught.value.code is ErrorCode.SENSOR_NOT_FOUND


async def test_machine_without_a_temperature_sensor_still_gives_its_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "sensors_temperatures", dict)
    await make_sensor("psutil", {}, ManualClock()).check()
    with pytest.raises(SensorError) as caught:
        await make_sensor("psutil", {"what": "temperature"}, ManualClock()).check()
    assert "what=load" in caught.value.remedy


async def test_polling_goes_on_after_single_failures_and_ends_after_five_in_a_row(tmp_path: Path) -> None:
    path = write(tmp_path / "28-1" / "w1_slave", W1_GOOD)
    sensor = make_sensor("w1", {"root": str(tmp_path), "period_s": "0.001"}, SystemClock())
    readings = sensor.readings()
    assert (await anext(readings)).value == 23.187
    path.write_text("broken")
    with pytest.raises(SensorError, match="checksum"):
        await anext(readings)


@pytest.mark.parametrize("text", ["w1:id= ", "w1: ", "iio:channel=1,rate_hz= ,speed=1", "w1:a=1, a=2"])
def test_sensor_text_with_a_blank_value_or_a_name_twice_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_sensor_text(text)


def test_sensor_text_is_split_into_kind_and_options() -> None:
    assert parse_sensor_text("replay:/data/pulse.csv,rate_hz=100") == (
        "replay",
        {"path": "/data/pulse.csv", "rate_hz": "100"},
    )
    assert parse_sensor_text("psutil") == ("psutil", {})
    assert parse_sensor_text("w1:28-1") == ("w1", {"id": "28-1"})
    assert parse_sensor_text("other:a=b=c") == ("other", {"a": "b=c"})


@pytest.mark.parametrize("text", ["replay:a.csv,b.csv", "replay:rate_hz=", "replay:path=a,path=b", "other:value"])
def test_malformed_sensor_text_raises_configuration_error(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_sensor_text(text)


def test_unknown_sensor_raises_configuration_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_sensor("telepathy", {}, ManualClock())
    assert "replay, psutil, w1, iio" in caught.value.remedy


def test_every_built_in_sensor_says_what_its_options_are() -> None:
    assert all(list(islice(summary, 10)) for summary in list_sensors().values())
    assert set(list_sensors()) >= {"replay", "psutil", "w1", "iio"}


class PlugIn:
    """A third party's sensor."""

    label = "plug-in"
    is_recording = True

    async def check(self) -> None:
        pass

    async def readings(self) -> AsyncIterator[Reading]:
        yield Reading("beat", 1.0, 2.0)


def test_sensor_of_another_package_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("beat", f"{__name__}:make_plug_in", "vgroup.sensors")
    monkeypatch.setattr(EntryPoint, "load", lambda _self: lambda _options, _clock: PlugIn())
    monkeypatch.setattr(catalogue, "entry_points", lambda **_: [point])
    assert isinstance(make_sensor("beat", {}, ManualClock()), PlugIn)


def test_plug_in_that_does_not_load_raises_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("beat", "no.such.module:make", "vgroup.sensors")
    monkeypatch.setattr(catalogue, "entry_points", lambda **_: [point])
    with pytest.raises(ConfigurationError, match="does not load"):
        make_sensor("beat", {}, ManualClock())
