"""The Debian packages' ``vgroup``: as whom it runs which command, and with which folders and secrets.

The real shell runs the real script; the commands by which it would become somebody else are replaced.
"""

import json
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "debian" / "vgroup.sh"
PROGRAM = '#!/bin/sh\necho "as ${RUNS_AS:-root}: $*"\nenv | grep ^VGROUP_ | sort\nexit "${STATUS:-0}"\n'
STUBS = {
    "id": '#!/bin/sh\necho "$FAKE_UID"\n',
    "getent": '#!/bin/sh\ncase " $FAKE_USERS " in *" $2 "*) exit 0 ;; *) exit 2 ;; esac\n',
    "setpriv": (
        "#!/bin/sh\nexport RUNS_AS=$2 STATUS\n"
        '[ "$2" != vgroup-slave ] || STATUS=${SLAVE_STATUS:-0}\nshift 5\nexec "$@"\n'
    ),
}


class Wrapper:
    """The script in a folder of its own, where /etc, /opt and /var are."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.users = "vgroup-master vgroup-slave"
        self.uid = "0"
        self.environment: dict[str, str] = {}
        for name, text in {**{f"bin/{name}": text for name, text in STUBS.items()}, "program": PROGRAM}.items():
            path = root / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        for folder in ("etc/vgroup/credentials", "var/lib/vgroup-master", "var/lib/vgroup-slave"):
            (root / folder).mkdir(parents=True)
        (root / "etc/vgroup/credentials/slave.key").write_text("slave secret")
        (root / "etc/vgroup/credentials/master.passphrase").write_text("master secret")
        text = SCRIPT.read_text().replace("/opt/@PACKAGE@/bin/vgroup", str(root / "program"))
        text = text.replace("/etc/vgroup", f"{root}/etc/vgroup").replace("/var/lib/", f"{root}/var/lib/")
        self.script = root / "vgroup"
        self.script.write_text(text)

    def print(self, *words: str) -> tuple[str, int]:
        """What was printed, and the exit status."""
        environment = {"PATH": f"{self.root}/bin:/usr/bin:/bin", "FAKE_UID": self.uid, "FAKE_USERS": self.users}
        done = subprocess.run(
            ["sh", str(self.script), *words],
            env=environment | self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        return done.stdout, done.returncode

    def run(self, *words: str) -> tuple[list[str], dict[str, str], int]:
        """Who ran what; the variables that the last one saw; the exit status."""
        printed, status = self.print(*words)
        lines = printed.replace(f"{self.root}/", "/").splitlines()
        ran = [line for line in lines if line.startswith("as ")]
        last = len(lines) - lines[::-1].index(ran[-1])
        return ran, dict(line.split("=", 1) for line in lines[last:]), status


@pytest.fixture
def wrapper(tmp_path: Path) -> Wrapper:
    return Wrapper(tmp_path)


@pytest.mark.parametrize("group", ["master", "group", "device", "records", "audit", "chain"])
def test_masters_commands_run_as_its_user_with_its_passphrase(wrapper: Wrapper, group: str) -> None:
    ran, variables, _ = wrapper.run(group, "show", "a b")
    assert ran == [f"as vgroup-master: {group} show a b"]
    assert variables["VGROUP_MASTER_DIR"] == "/var/lib/vgroup-master"
    assert variables["VGROUP_PASSPHRASE"] == "master secret"
    assert "VGROUP_KEYSTORE_SECRET" not in variables


def test_slaves_commands_run_as_its_user_with_its_secret(wrapper: Wrapper) -> None:
    ran, variables, _ = wrapper.run("slave", "status")
    assert ran == ["as vgroup-slave: slave status"]
    assert variables["VGROUP_KEYSTORE_SECRET"] == "slave secret"
    assert "VGROUP_PASSPHRASE" not in variables


def test_gateways_commands_run_as_its_user_where_there_is_one(wrapper: Wrapper) -> None:
    ran, variables, _ = wrapper.run("gateway", "init")
    assert ran == ["as root: gateway init"]
    assert "VGROUP_GATEWAY_DIR" not in variables
    wrapper.users += " vgroup-gateway"
    ran, variables, _ = wrapper.run("gateway", "init")
    assert ran == ["as vgroup-gateway: gateway init"]
    assert variables["VGROUP_GATEWAY_DIR"] == "/var/lib/vgroup-gateway"
    assert variables["VGROUP_GATEWAY_CONFIG"] == "/etc/vgroup/gateway.toml"
    assert not {"VGROUP_PASSPHRASE", "VGROUP_KEYSTORE_SECRET"} & set(variables)


def test_doctor_looks_at_each_service_as_its_own_user_and_ends_with_the_worst(wrapper: Wrapper) -> None:
    ran, variables, status = wrapper.run("doctor")
    assert ran == [
        "as vgroup-master: doctor --data-dir /var/lib/vgroup-master",
        "as vgroup-slave: doctor --state-dir /var/lib/vgroup-slave",
    ]
    assert status == 0
    assert "VGROUP_PASSPHRASE" not in variables, "one service's secret reached the other"
    wrapper.environment = {"STATUS": "1"}
    assert wrapper.run("doctor")[2] == 1
    wrapper.environment = {"SLAVE_STATUS": "1"}
    assert wrapper.run("doctor")[2] == 1
    wrapper.environment = {}
    (wrapper.root / "var/lib/vgroup-master").rmdir()
    assert wrapper.run("doctor")[0] == ["as vgroup-slave: doctor --state-dir /var/lib/vgroup-slave"]


DOCUMENT = """#!/bin/sh
case $RUNS_AS in
vgroup-master) printf '{\\n "master": [{"level": "good"}]\\n}\\n' ;;
*) [ "$SLAVE_STATUS" = 2 ] || printf '{"slave": []}\\n' ;;
esac
exit "${STATUS:-0}"
"""


def test_doctors_json_of_both_services_is_one_document(wrapper: Wrapper) -> None:
    (wrapper.root / "program").write_text(DOCUMENT)
    wrapper.environment = {"SLAVE_STATUS": "1"}
    printed, status = wrapper.print("doctor", "--json")
    assert json.loads(printed) == {"master": [{"level": "good"}], "slave": []}
    assert status == 1


def test_doctors_json_of_a_service_that_could_not_look_is_left_out(wrapper: Wrapper) -> None:
    (wrapper.root / "program").write_text(DOCUMENT)
    wrapper.environment = {"SLAVE_STATUS": "2"}
    printed, status = wrapper.print("doctor", "--json")
    assert json.loads(printed) == {"master": [{"level": "good"}]}
    assert status == 2


@pytest.mark.parametrize(
    ("words", "user"),
    [
        (("doctor", "--state-dir", "/x"), "vgroup-slave"),
        (("doctor", "--data-dir=/x"), "vgroup-master"),
        (("doctor", "--help"), "root"),
        (("config", "check"), "root"),
        (("--version",), "root"),
    ],
)
def test_other_commands_run_as_whom_they_are_about(wrapper: Wrapper, words: tuple[str, ...], user: str) -> None:
    assert wrapper.run(*words)[0] == [f"as {user}: {' '.join(words)}"]


def test_anybody_else_acts_on_folders_of_their_own(wrapper: Wrapper) -> None:
    wrapper.uid = "1000"
    ran, variables, _ = wrapper.run("device", "list")
    assert (ran, variables) == (["as root: device list"], {})
