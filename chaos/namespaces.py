"""Hosts on one machine: network namespaces on a bridge, each with a host name and a link that can be cut.

Everything is inside a namespace of its own, so that nothing reaches the machine's network. It takes root, or a kernel
that lets a user make namespaces.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

_IS_INSIDE = "POSTROOM_HOSTS_INSIDE"
_BRIDGE = "bridge0"
_NETWORK = "10.77.0"
_TOOLS = ("ip", "unshare", "nsenter")
BRIDGE_ADDRESS = f"{_NETWORK}.1"
"""The address of the database host: it is where the bridge is, and the trial itself."""


class NoNamespaces(Exception):  # noqa: N818 - a fact about the machine
    """No network namespaces for this user on this machine; the message says why."""


def enter(module: str, arguments: Sequence[str]) -> None:
    """Run this program again inside a network namespace of its own, unless it is there already.

    Raises `NoNamespaces`.
    """
    if _IS_INSIDE in os.environ:  # noqa: TID251 - a mark between two runs of one program, no setting
        return
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise NoNamespaces(f"{', '.join(missing)} not found: install iproute2 and util-linux.")
    inside = _unshare()
    # The last try: a machine may allow namespaces and no bridge in them.
    probe = subprocess.run([*inside, "ip", "link", "add", _BRIDGE, "type", "bridge"], capture_output=True, check=False)
    if probe.returncode:
        raise NoNamespaces(
            f"{probe.stderr.decode().strip() or 'unshare failed'}. Run it as root, or allow user namespaces."
        )
    command = [*inside, sys.executable, "-m", module, *arguments]
    os.execvpe(command[0], command, {**os.environ, _IS_INSIDE: "1"})  # noqa: S606, TID251 - the program is this one


def _unshare() -> tuple[str, ...]:
    if os.geteuid() == 0:
        return ("unshare", "--net")
    return ("unshare", "--user", "--map-current-user", "--keep-caps", "--net")


def make_bridge() -> None:
    """Make the bridge that links all hosts."""
    _ip("link", "set", "lo", "up")
    _ip("link", "add", _BRIDGE, "type", "bridge")
    _ip("address", "add", f"{BRIDGE_ADDRESS}/24", "dev", _BRIDGE)
    _ip("link", "set", _BRIDGE, "up")


class Host:
    """One host: a network namespace with an address on the bridge and a host name of its own."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.address = f"{_NETWORK}.{number}"
        self._port = f"port-{name}"
        # The namespaces live as long as this process, which says when they are there.
        holder = ("unshare", "--net", "--uts", "sh", "-c", "echo ready; exec sleep infinity")
        self._holder = subprocess.Popen(holder, stdout=subprocess.PIPE, start_new_session=True)
        if self._holder.stdout is not None:
            self._holder.stdout.readline()
        self._enter = ("nsenter", f"--target={self._holder.pid}", "--net", "--uts")
        _ip("link", "add", self._port, "type", "veth", "peer", "name", "eth0", "netns", str(self._holder.pid))
        _ip("link", "set", self._port, "master", _BRIDGE, "up")
        self._inside("hostname", name)
        self._inside("ip", "link", "set", "lo", "up")
        self._inside("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self._inside("ip", "link", "set", "eth0", "up")

    def command(self, *command: str) -> tuple[str, ...]:
        """Return the command that runs this one on the host."""
        return (*self._enter, *command)

    def cut(self) -> None:
        """Unplug its port at the bridge: nothing arrives any more, and neither side is told."""
        _ip("link", "set", self._port, "nomaster")

    def plug(self) -> None:
        """Plug its port in again."""
        _ip("link", "set", self._port, "master", _BRIDGE)

    def take_down(self) -> None:
        """Take its interface down: the host itself sees that its network is gone."""
        self._inside("ip", "link", "set", "eth0", "down")

    def bring_up(self) -> None:
        """Bring its interface up again."""
        self._inside("ip", "link", "set", "eth0", "up")

    def close(self) -> None:
        """End its namespaces; its link goes with them."""
        self._holder.kill()
        self._holder.communicate()

    def _inside(self, *command: str) -> None:
        subprocess.run(self.command(*command), check=True)


def _ip(*arguments: str) -> None:
    command = ("ip", *arguments)
    subprocess.run(command, check=True)
