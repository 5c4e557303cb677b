"""A small internet: clients behind address translators of several kinds, and a coturn server.

``client -- translator -- bridge of the internet (198.51.100.0/24) -- coturn at 198.51.100.1``
"""

import base64
import contextlib
import hashlib
import hmac
import socket
import subprocess
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from tests.support.namespaces import Namespace, join

SERVER = "198.51.100.1"
SECRET = "between-the-room-server-and-coturn"


class Kind(StrEnum):
    """What sits between a client and the internet."""

    NONE = "none"
    """Nothing: a public address."""
    CONE = "cone"
    """A home router: the same port outside whoever is spoken to, strangers are dropped."""
    SYMMETRIC = "symmetric"
    """Another port outside for each who is spoken to."""
    NO_UDP = "no-udp"
    """As cone, and UDP is dropped."""
    ONLY_443 = "only-443"
    """As cone, and everything but TCP to port 443 is dropped."""


_FORWARD = {
    Kind.NO_UDP: "meta l4proto udp drop",
    Kind.ONLY_443: "tcp dport != 443 drop; meta l4proto udp drop",
}


class NatLab:
    """Make it, add clients, close it."""

    def __init__(self) -> None:
        self.internet = Namespace("net")
        self._stack = contextlib.ExitStack()
        self._stack.callback(self.internet.close)
        self._clients = 0
        self._uplinks = 0
        self.internet.ip(
            "link add br0 type bridge",
            f"addr add {SERVER}/24 dev br0",
            "link set br0 up",
            "route add default dev br0",  # coturn wants one
        )

    def close(self) -> None:
        """Remove everything."""
        self._stack.close()

    def client(self, kind: Kind) -> Namespace:
        """A machine that is connected to the internet."""
        self._clients += 1
        client = self._namespace(f"client{self._clients}")
        self.connect(client, kind)
        return client

    def connect(self, client: Namespace, kind: Kind) -> str:
        """Give a machine a connection, in addition to others, and return its address.

        What it sends goes over the newest one.
        """
        self._uplinks += 1
        number = self._uplinks
        plug = f"up{number}"
        if kind is Kind.NONE:
            address, gateway = f"198.51.100.{100 + number}", SERVER
            join(self.internet, client, (f"p{number}", plug))
        else:
            address, gateway = f"192.168.{number}.2", f"192.168.{number}.1"
            router = self._namespace(f"router{number}")
            join(self.internet, router, (f"p{number}", "wan"))
            join(router, client, ("lan", plug))
            router.sysctl("net.ipv4.ip_forward=1")
            router.ip(
                f"addr add 198.51.100.{100 + number}/24 dev wan",
                f"addr add {gateway}/24 dev lan",
                "link set wan up",
                "link set lan up",
            )
            router.nft(_rules(kind))
        self.internet.ip(f"link set p{number} master br0 up")
        client.ip(
            f"addr add {address}/24 dev {plug}",
            f"link set {plug} up",
            f"route replace default via {gateway}",
        )
        return address

    def disconnect(self, client: Namespace, number: int) -> None:
        """Take the cable of the uplink `number` (from 1 on, over the whole lab) out."""
        client.ip(f"link del up{number}")

    @contextlib.contextmanager
    def turn_server(self, folder: Path) -> Iterator[Path]:
        """Run coturn on the ports 3478 (UDP, TCP) and 443 (TLS); yields its certificate."""
        certificate, key = folder / "turn.pem", folder / "turn.key"
        subject = f"-subj /CN=turn -addext subjectAltName=IP:{SERVER}"
        curve = "-newkey ec -pkeyopt ec_paramgen_curve:P-256"
        request = f"openssl req -x509 -nodes -days 2 {curve} -keyout {key} -out {certificate} {subject}"
        subprocess.run(request.split(), check=True, capture_output=True)
        log = folder / "coturn.log"
        command = (
            f"turnserver -n --listening-ip {SERVER} --relay-ip {SERVER} --realm softphone.test "
            f"--listening-port 3478 --tls-listening-port 443 --cert {certificate} --pkey {key} "
            f"--use-auth-secret --static-auth-secret={SECRET} --no-cli "
            f"--log-file {log} --simple-log --pidfile {folder}/coturn.pid --userdb {folder}/db"
        )
        process = self.internet.start(*command.split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.internet.call(lambda: _wait_for_port(443, process, log))
        yield certificate

    def _namespace(self, label: str) -> Namespace:
        namespace = Namespace(label)
        self._stack.callback(namespace.close)
        return namespace


def credentials(lifetime: float) -> tuple[str, str]:
    """User name and password for so many seconds, as a room server hands them out."""
    username = f"{int(time.time() + lifetime)}:tester"
    digest = hmac.new(SECRET.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


def _rules(kind: Kind) -> str:
    random = " random,fully-random" if kind is Kind.SYMMETRIC else ""
    blocked = "\n".join(f'iifname "lan" {rule}' for rule in _FORWARD.get(kind, "").split("; ") if rule)
    # Strangers are dropped before they leave a trace in connection tracking, which would
    # otherwise take the port away from the client.
    return f"""
    table ip nat {{
        chain out {{
            type nat hook postrouting priority srcnat
            oifname "wan" masquerade{random}
        }}
    }}
    table ip guard {{
        chain in {{
            type filter hook input priority filter
            iifname "wan" ct state new drop
        }}
        chain through {{
            type filter hook forward priority filter; policy drop
            ct state established,related accept
            {blocked}
            iifname "lan" accept
        }}
    }}
    """


def _wait_for_port(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError), socket.create_connection((SERVER, port), 1):
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, "coturn does not listen"
        time.sleep(0.05)
