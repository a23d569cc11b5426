import socket
from pathlib import Path

import pytest

from system_ports.unix_sockets import short_socket_path


def test_socket_in_a_folder_with_a_long_name_is_made_and_reached(tmp_path: Path) -> None:
    path = tmp_path / ("long" * 40) / "admin.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        with short_socket_path(path) as short_path:
            listener.bind(short_path)
            listener.listen()
        assert path.is_socket()
        with short_socket_path(path) as short_path:
            caller.connect(short_path)


def test_folder_that_is_missing_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), short_socket_path(tmp_path / "nowhere" / "admin.sock"):
        pass
