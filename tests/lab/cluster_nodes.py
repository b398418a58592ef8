"""The nodes of a broker's cluster on this machine: nats-server with JetStream, or RabbitMQ."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar, Self

sys.path.append(str(Path(__file__).resolve().parents[1] / "integration"))

from broker import HOST, free_port

START_S = 120.0
EPMD_PORT = 4369
GUEST = {"user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
MIRRORED = {
    "name": "mirrored",
    "vhost": "/",
    "pattern": "^mqtt-subscription-",
    "apply-to": "queues",
    "priority": 0,
    "definition": {"ha-mode": "all", "ha-sync-mode": "automatic"},
}
DEFINITIONS = {
    "vhosts": [{"name": "/"}],
    "users": [{"name": "guest", "password": "guest", "tags": "administrator"}],
    "permissions": [GUEST],
    "policies": [MIRRORED],
}
PATHS = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/usr/lib/rabbitmq/bin"


class Server:
    """One node, which is killed and started again on its ports and with its files."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self.port, self.peer_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: list[str], **environment: str) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    def answers(self) -> bool:
        """Return whether it listens for MQTT."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((HOST, self.port)) == 0

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
            self._process = None


class Cluster:
    """``with Nats(folder, 3) as cluster`` has that many nodes that know each other."""

    program: ClassVar[str]

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.servers = [Server(folder, f"e{number}") for number in range(1, count + 1)]

    @classmethod
    def available(cls) -> bool:
        return shutil.which(cls.program, path=PATHS) is not None

    def prepare(self) -> None:
        """Write what they have in common."""

    def run(self, server: Server) -> None:
        raise NotImplementedError

    def form(self) -> None:
        """Wait until they are one cluster."""

    def __enter__(self) -> Self:
        self.prepare()
        try:
            for server in self.servers:
                self.run(server)
            self.wait(*self.servers)
            self.form()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait(self, *servers: Server) -> None:
        """Wait until these answer."""
        deadline = time.monotonic() + START_S
        while not all(server.answers() for server in servers):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.program} did not start: see {self.folder}")
            time.sleep(0.2)

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.kill()


class Nats(Cluster):
    """Three nats-server: sessions and messages of MQTT lie in JetStream, three times."""

    program = "nats-server"

    def prepare(self) -> None:
        routes = ", ".join(f'"nats://{HOST}:{server.peer_port}"' for server in self.servers)
        for server in self.servers:
            peers = f"cluster {{ name: edged, listen: {HOST}:{server.peer_port}, routes: [{routes}] }}"
            lines = [
                f"server_name: {server.name}",
                f"listen: {HOST}:{free_port()}",
                f'jetstream {{ store_dir: "{server.folder}/store" }}',
                *([peers] if len(self.servers) > 1 else []),
                f"mqtt {{ listen: {HOST}:{server.port}, ack_wait: 5s }}",
            ]
            (server.folder / "nats.conf").write_text("\n".join([*lines, ""]))

    def run(self, server: Server) -> None:
        program = shutil.which(self.program, path=PATHS)
        assert program is not None
        server.start([program, "-c", str(server.folder / "nats.conf")])

    def form(self) -> None:
        time.sleep(5)  # JetStream chooses a leader


class Rabbit(Cluster):
    """Three RabbitMQ, whose MQTT queues are mirrored."""

    program = "rabbitmq-server"
    _names = False  # Erlang's register of names, which the first node starts, ran before

    def prepare(self) -> None:
        with socket.socket() as probe:
            self._names = probe.connect_ex((HOST, EPMD_PORT)) == 0
        (self.folder / ".erlang.cookie").write_text("edgedlaboratory")
        (self.folder / ".erlang.cookie").chmod(0o400)
        (self.folder / "plugins").write_text("[rabbitmq_mqtt].\n")
        peers = "".join(
            f"cluster_formation.classic_config.nodes.{number} = {server.name}@localhost\n"
            for number, server in enumerate(self.servers, 1)
        )
        (self.folder / "definitions.json").write_text(json.dumps(DEFINITIONS))
        for server in self.servers:
            (server.folder / "rabbitmq.conf").write_text(
                f"listeners.tcp.default = {free_port()}\n"
                f"mqtt.listeners.tcp.default = {server.port}\n"
                "cluster_formation.peer_discovery_backend = classic_config\n"
                "cluster_partition_handling = ignore\n"
                f"load_definitions = {self.folder}/definitions.json\n" + peers
            )

    def run(self, server: Server) -> None:
        program = "/usr/lib/rabbitmq/bin/rabbitmq-server"
        server.start(
            [program],
            HOME=str(self.folder),
            RABBITMQ_NODENAME=f"{server.name}@localhost",
            RABBITMQ_DIST_PORT=str(server.peer_port),
            RABBITMQ_MNESIA_BASE=str(server.folder / "mnesia"),
            RABBITMQ_LOG_BASE=str(server.folder / "logs"),
            RABBITMQ_LOGS="-",
            RABBITMQ_ENABLED_PLUGINS_FILE=str(self.folder / "plugins"),
            RABBITMQ_CONFIG_FILE=str(server.folder / "rabbitmq.conf"),
            RABBITMQ_PID_FILE=str(server.folder / "pid"),
            ERL_EPMD_ADDRESS=HOST,
        )

    def form(self) -> None:
        time.sleep(10)  # the plug-in chooses a leader

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        if not self._names:
            subprocess.run(["epmd", "-kill"], check=False, capture_output=True)


class Mosquitto(Cluster):
    """A mosquitto, alone: several of them know nothing of each other."""

    program = "mosquitto"

    def run(self, server: Server) -> None:
        program = shutil.which(self.program, path=PATHS)
        assert program is not None
        config = server.folder / "mosquitto.conf"
        config.write_text(f"listener {server.port} {HOST}\nallow_anonymous true\nuser root\n")
        server.start([program, "-c", str(config)])


KINDS: dict[str, type[Cluster]] = {"nats": Nats, "rabbitmq": Rabbit, "mosquitto": Mosquitto}
