"""Uses the role deploy/roles/edged without Ansible, for deploy/install: its variables, templates and verdict.

::

    role_files.py write CONFIG FOLDER   the files of a deployment, under the names that the role has for them
    role_files.py deployed              where each of them belongs: name, path, group, mode
    role_files.py packages CONFIG       Debian's packages that it needs; groups CONFIG: those of its devices
    role_files.py names CONFIG          the files that lie beside it: secret, public or model, and the name
    role_files.py healthy STATUS        exit 0 where `edged status --json`, on standard input, passes the gate

What these files contain is written once, in the role. This needs Jinja2 (python3-jinja2) and PyYAML, and
knows those of Ansible's filters that the role uses there.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jinja2
import jinja2.nativetypes
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHECKOUT = Path(__file__).resolve().parents[1]
ROLE = CHECKOUT / "deploy/roles/edged"
ETC = Path("/etc/edged")
# Which file of systemd/ each file of a deployment is a copy of.
UNITS = {name: name for name in ("edged.service", "edged-workers.service", "edged-workers.socket")}
NETWORK_UNITS = {
    "edged-workers-network.service": "edged-workers.service",
    "edged-workers-network.socket": "edged-workers-network.socket",
    "network.conf": "edged-workers-network.service.d/network.conf",
}
KINDS = {
    **dict.fromkeys(("password_file", "key_file"), "secret"),
    **dict.fromkeys(("ca_file", "cert_file"), "public"),
    **dict.fromkeys(("file", "labels", "edgetpu_file"), "model"),
}


def _combine(first: dict[str, Any], *others: dict[str, Any], recursive: bool = False) -> dict[str, Any]:
    made = dict(first)
    for other in others:
        for key, value in other.items():
            below = made.get(key)
            both = recursive and isinstance(below, dict) and isinstance(value, dict)
            made[key] = _combine(below, value, recursive=True) if both else value
    return made


def _flatten(values: Iterable[Any]) -> list[Any]:
    return list(itertools.chain.from_iterable(_flatten(v) if isinstance(v, list) else [v] for v in values))


FILTERS = {
    "combine": _combine,
    "flatten": _flatten,
    "from_json": json.loads,
    "regex_findall": lambda text, pattern: re.findall(pattern, text),
    "regex_replace": lambda text, pattern, by: re.sub(pattern, by, str(text)),
    "split": str.split,
    "to_json": json.dumps,
    "urlsplit": lambda text, part: getattr(urlsplit(text), part),
}
TESTS = {
    "match": lambda text, pattern: re.match(pattern, str(text)) is not None,
    "search": lambda text, pattern: re.search(pattern, str(text)) is not None,
}


class Role:
    """The role's variables: each is rendered when something uses it, as Ansible does.

    Args:
        given: variables that take the place of the role's own.
    """

    def __init__(self, **given: Any) -> None:
        self._raw: dict[str, Any] = {}
        for path in ("defaults/main.yml", "vars/main.yml"):
            self._raw |= yaml.safe_load((ROLE / path).read_text("utf-8"))
        self._given = given
        role = self

        class Context(jinja2.runtime.Context):
            def resolve_or_missing(self, key: str) -> Any:
                found = super().resolve_or_missing(key)
                return role.value(key) if found is jinja2.runtime.missing and key in role else found

        self._values = jinja2.nativetypes.NativeEnvironment(undefined=jinja2.StrictUndefined)
        self._texts = jinja2.Environment(  # noqa: S701 - it writes no HTML
            trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
        )
        for environment in (self._values, self._texts):
            environment.filters.update(FILTERS)
            environment.tests.update(TESTS)
            environment.context_class = Context

    def __contains__(self, name: str) -> bool:
        return name in self._given or name in self._raw

    def value(self, name: str) -> Any:
        """Return a variable."""
        return self._given[name] if name in self._given else self._rendered(self._raw[name])

    def _rendered(self, raw: Any) -> Any:
        match raw:
            case str() if "{{" in raw or "{%" in raw:
                return self._values.from_string(raw).render()
            case list():
                return [self._rendered(entry) for entry in raw]
            case dict():
                return {key: self._rendered(entry) for key, entry in raw.items()}
        return raw

    def text(self, template: str, **given: Any) -> str:
        """Return what a template gives."""
        source = (ROLE / "templates" / template).read_text("utf-8")
        return self._texts.from_string(source).render(**given)


def _blocks(data: Any) -> Iterator[tuple[str, Any]]:
    """Give every key of a configuration with its value, at any depth."""
    match data:
        case dict():
            for key, value in data.items():
                yield str(key), value
                yield from _blocks(value)
        case list():
            for value in data:
                yield from _blocks(value)


def _named(config: Any) -> dict[str, str]:
    """Return the files that a configuration names without a folder, and the kind of each."""
    return {
        value: KINDS[key]
        for key, value in _blocks(config)
        if key in KINDS and isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._-]+", value)
    }


def _addresses(host: str) -> list[str]:
    """Return the lines of ``getent ahosts``.

    Raises:
        SystemExit: the host has no address.
    """
    found = subprocess.run(["getent", "ahosts", host], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise SystemExit(
            f"this board cannot find an address for '{host}', so the service could not be allowed to reach "
            "it: correct the name, or write the address"
        )
    return found.stdout.splitlines()


def _name_servers() -> list[str]:
    try:
        text = Path("/etc/resolv.conf").read_text("utf-8", "replace")
    except OSError:
        return []
    return re.findall(r"(?m)^nameserver\s+(\S+)", text)


def role_of(config: dict[str, Any], **more: Any) -> Role:
    """Return the role as it deploys a configuration here, with the secrets that are in /etc/edged.

    Args:
        config: the configuration.
        more: further variables.
    """
    secrets = {name for name, kind in _named(config).items() if kind == "secret" and (ETC / name).exists()}
    return Role(
        edged_node=config.get("node", ""),
        edged_config=config,
        edged_mqtt_password="in its file" if "mqtt-password" in secrets else "",
        edged_tls_key="in its file" if "node.key" in secrets else "",
        edged_secrets=dict.fromkeys(sorted(secrets - {"mqtt-password", "node.key"}), "in its file"),
        ansible_facts={"dns": {"nameservers": _name_servers()}},
        **more,
    )


def _with_addresses(config: dict[str, Any]) -> Role:
    """Return the role with the addresses of the brokers and cameras of a configuration."""
    role = role_of(config)
    hosts = dict.fromkeys(role.value("__edged_brokers") + role.value("__edged_cameras"))
    found = {"results": [{"item": host, "stdout_lines": _addresses(host)} for host in hosts]}
    role = role_of(config, __edged_found=found)
    return role_of(
        config,
        __edged_found=found,
        __edged_addresses=role.value("__edged_addresses_of_main"),
        __edged_camera_addresses=role.value("__edged_addresses_of_cameras"),
    )


def write(config: Path, folder: Path) -> None:
    """Write the files of a deployment into a folder."""
    role = _with_addresses(_read(config))
    cameras = bool(role.value("__edged_cameras"))
    for name, unit in {**UNITS, **(NETWORK_UNITS if cameras else {})}.items():
        shutil.copyfile(CHECKOUT / "systemd" / unit, folder / name)
    shutil.copyfile(config, folder / "edged.yaml")
    texts = {
        "deployed.conf": role.text("deployed.conf.j2"),
        "workers.conf": role.text("workers.conf.j2", __edged_workers_unit="edged-workers"),
    }
    if cameras:
        network = role.text("workers.conf.j2", __edged_workers_unit="edged-workers-network")
        texts |= {"camera-hosts": role.text("camera-hosts.j2"), "network-workers.conf": network}
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")


def _read(config: Path) -> dict[str, Any]:
    """Return a configuration; {} for what is none, of which `edged check` says more."""
    try:
        data = yaml.safe_load(config.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return {}
    return data if isinstance(data, dict) else {}


def healthy(status: int, text: str) -> str:
    """Return why what ``edged status --json`` printed does not pass the role's gate; "" where it does."""
    given = {"rc": status, "stdout_lines": text.splitlines()}
    role = Role(__edged_status=given, ansible_facts={})
    if role.value("__edged_is_well"):
        return ""
    says = role.value("__edged_says")
    broker = says.get("broker", {})
    if says.get("status") in {"ok", "degraded"} and broker.get("state") not in {"connected", "none"}:
        return f"the broker is not connected ({broker.get('detail') or broker.get('state')})"
    return "; ".join(says.get("problems", [])) or "edged does not run"


def main(command: str, *arguments: str) -> int:
    """Run a command; return the exit status."""
    match command, *arguments:
        case "write", config, folder:
            write(Path(config), Path(folder))
        case ("deployed",):
            for entry in Role().value("__edged_deployed"):
                print(entry["file"], entry["path"], entry.get("group", "root"), entry["mode"], sep="\t")
        case "packages" | "groups", config:
            print(*dict.fromkeys(role_of(_read(Path(config))).value(f"__edged_{command}")), sep="\n")
        case "names", config:
            for name, kind in _named(_read(Path(config))).items():
                print(kind, name)
        case "healthy", status:
            reason = healthy(int(status), sys.stdin.read())
            print(reason, end="")
            return 1 if reason else 0
        case _:
            print(__doc__, file=sys.stderr)
            return 64
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
