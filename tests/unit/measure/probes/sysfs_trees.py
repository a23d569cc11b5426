"""Trees of sysfs files as machines show them: written down by file and content, laid out in a folder for one test."""

from collections.abc import Mapping
from pathlib import Path

LAPTOP: Mapping[str, str] = {
    # A client processor: package with cores and uncore, no DRAM; and the package a second time by MMIO.
    "class/powercap/intel-rapl/enabled": "1\n",
    "class/powercap/intel-rapl:0/name": "package-0\n",
    "class/powercap/intel-rapl:0/energy_uj": "262143000000\n",
    "class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850\n",
    "class/powercap/intel-rapl:0:0/name": "core\n",
    "class/powercap/intel-rapl:0:0/energy_uj": "1000000\n",
    "class/powercap/intel-rapl:0:0/max_energy_range_uj": "262143328850\n",
    "class/powercap/intel-rapl:0:1/name": "uncore\n",
    "class/powercap/intel-rapl:0:1/energy_uj": "500\n",
    "class/powercap/intel-rapl:0:1/max_energy_range_uj": "262143328850\n",
    "class/powercap/intel-rapl-mmio:0/name": "package-0\n",
    "class/powercap/intel-rapl-mmio:0/energy_uj": "262143000000\n",
    "class/powercap/intel-rapl-mmio:0/max_energy_range_uj": "262143328850\n",
}

SERVER: Mapping[str, str] = {
    # Two sockets, each with DRAM.
    f"class/powercap/intel-rapl:{zone}/{file}": content
    for socket in (0, 1)
    for zone, name in ((f"{socket}", f"package-{socket}"), (f"{socket}:0", "dram"))
    for file, content in (("name", name), ("energy_uj", "1000000"), ("max_energy_range_uj", "65712999613"))
}

PI_WITH_INA219: Mapping[str, str] = {
    "class/hwmon/hwmon0/name": "cpu_thermal\n",
    "class/hwmon/hwmon0/temp1_input": "48312\n",
    "class/hwmon/hwmon1/name": "ina219\n",
    "class/hwmon/hwmon1/in1_input": "5104\n",
    "class/hwmon/hwmon1/curr1_input": "530\n",
    "class/hwmon/hwmon1/power1_input": "2700000\n",
    "class/hwmon/hwmon1/shunt_resistor": "100000\n",
}

PMIC_OUTPUT = """\
     3V7_WL_SW_A current(0)=0.00390372A
       3V3_SYS_A current(1)=0.08002626A
      DDR_VDD2_A current(3)=0.02049453A
      DDR_VDDQ_A current(4)=0.00000000A
      VDD_CORE_A current(7)=1.12305000A
     3V7_WL_SW_V volt(8)=3.71044600V
       3V3_SYS_V volt(9)=3.31604800V
      DDR_VDD2_V volt(11)=1.10732800V
      DDR_VDDQ_V volt(12)=0.60439400V
      VDD_CORE_V volt(15)=0.72047500V
        EXT5V_V volt(24)=5.10714000V
         BATT_V volt(25)=0.00000000V
"""


def lay_out(folder: Path, tree: Mapping[str, str]) -> Path:
    for name, content in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "ascii")
    return folder
