# shellcheck shell=bash
# Functions that the scripts of this repository share; to be sourced. Needs bash 5, coreutils and dpkg.

say() { printf '%s\n' "$*"; }

step() { printf '\n==> %s\n' "$*"; }

die() {
    printf '%s: %s\n' "$0" "$*" >&2
    exit 1
}

# Run a command as root: directly, or by sudo where somebody else called.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "'$*' needs root, and there is no sudo: run this as root"
    fi
}

# quietly TEXT COMMAND…: run it without showing its output, with a sign of life every ten seconds.
# If it fails, the end of its output is printed. Returns its status.
quietly() {
    local text=$1 log pid start=$SECONDS status=0 traps
    shift
    log=$(mktemp)
    printf '    %s …\n' "$text"
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    # Without this the command would survive a Ctrl-C: a shell's background jobs ignore it.
    traps=$(trap -p INT TERM)
    trap 'kill "$pid" 2>/dev/null; rm -f "$log"; trap - INT TERM; eval "$traps"; kill -INT $$' INT TERM
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        if [ $((SECONDS - start)) -ge 10 ] && [ $(((SECONDS - start) % 10)) = 0 ]; then
            printf '    … %d s: %s\n' $((SECONDS - start)) "$(tail -n 1 "$log" | tr -d '\r' | cut -c1-100)"
            sleep 1
        fi
    done
    trap - INT TERM
    eval "$traps"
    wait "$pid" || status=$?
    if [ "$status" != 0 ]; then
        printf '    failed after %d s:\n' $((SECONDS - start)) >&2
        tail -n 25 "$log" | sed 's/^/    | /' >&2
    fi
    rm -f "$log"
    return "$status"
}

# Refuse a system that edged does not run on; print which one it is.
check_machine() {
    local bits id version
    bits=$(dpkg --print-architecture 2>/dev/null || uname -m)
    case $bits in
    amd64 | arm64 | x86_64 | aarch64) ;;
    *) die "this system is $bits, and the TFLite runtimes exist for 64-bit systems only:" \
        "install a 64-bit Raspberry Pi OS or Debian" ;;
    esac
    id=$(. /etc/os-release 2>/dev/null && echo "${ID:-}")
    version=$(. /etc/os-release 2>/dev/null && echo "${VERSION_ID:-0}")
    if [ "$id" = debian ] && [ "${version%%.*}" -lt 12 ]; then
        die "this is Debian $version; edged needs Debian 12 or 13, or the Raspberry Pi OS made from them"
    fi
    [ "$id" = debian ] || [ "$id" = raspbian ] || say "    (made for Debian and Raspberry Pi OS; trying '$id' anyway)"
    say "    ${id:-unknown} ${version}, $bits"
}

package_lists=old

# require_packages PACKAGE…: install those that are missing with apt.
require_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^.i' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return 0
    command -v apt-get >/dev/null || die "these packages are missing and there is no apt: ${missing[*]}"
    # Ask for the password here, where a person can type it, not behind a progress line.
    as_root true || die "cannot become root to install: ${missing[*]}"
    if [ "$package_lists" = old ]; then
        quietly "apt-get update" as_root apt-get -q update || say "    (continuing with the present package lists)"
        package_lists=new
    fi
    quietly "apt-get install ${missing[*]}" as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q install -y --no-install-recommends "${missing[@]}" ||
        die "apt could not install: ${missing[*]}"
}

# Return whether edged runs on that Python.
suitable_python() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null
}

# Print the Python to build with: the system's first (picamera2 belongs to it), else one on PATH.
pick_python() {
    local candidate
    for candidate in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && suitable_python "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# require_venv_module PYTHON: install ensurepip, which Debian has in a package of its own.
require_venv_module() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return 0
    case $1 in
    /usr/bin/*) require_packages python3-venv ;;
    *) die "$1 has no ensurepip: install its venv package" ;;
    esac
}

# isolate_script FILE: have a script that pip wrote start its Python with -I, so that neither the user's site directory
# nor the environment adds code. pip writes the second form where the path is long or has a space.
isolate_script() {
    sed -i -e '1s|^#!/.*python[0-9.]*$|& -I|' -e '2s|^\(.*exec. .*python[^ ]*\) "$0" "$@"$|\1 -I "$0" "$@"|' "$1"
    head -n 2 "$1" | grep -q -e ' -I$' -e ' -I "\$0"'
}

# copy_sources CHECKOUT DIR: copy what a build needs. Building in a copy keeps the checkout clean.
copy_sources() {
    local name
    mkdir -p "$2"
    for name in edged setup.cfg pyproject.toml README.md LICENSE NOTICE; do
        [ -e "$1/$name" ] && cp -r "$1/$name" "$2/"
    done
    find "$2" -name __pycache__ -prune -exec rm -rf {} +
}

# fingerprint FILE-OR-FOLDER…: one word that changes with their content.
fingerprint() {
    find "$@" -type f ! -path '*/__pycache__/*' -print0 2>/dev/null |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16
}

# free_port PYTHON: print a TCP port that is free on the loopback.
free_port() {
    "$1" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# ansible_venv PYTHON: print the virtual environment with ansible and its linter; create it if it is missing.
# EDGED_ANSIBLE_VENV: another place than .venv-ansible. EDGED_ANSIBLE_CORE: another version, such as 2.15.*
ansible_venv() {
    local root venv mark
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    venv=${EDGED_ANSIBLE_VENV:-$root/.venv-ansible}
    mark=$(fingerprint "$root/deploy/ansible.lock")-${EDGED_ANSIBLE_CORE:-locked}
    if [ "$(cat "$venv/.made" 2>/dev/null)" != "$mark" ]; then
        quietly "a virtual environment with ansible in $venv" "$1" -m venv --clear "$venv" >&2 || return 1
        # The linter needs a new ansible-core, so an old one is installed without it.
        local what=(--require-hashes --only-binary=:all: --requirement "$root/deploy/ansible.lock")
        [ -z "${EDGED_ANSIBLE_CORE:-}" ] || what=("ansible-core==$EDGED_ANSIBLE_CORE" setuptools)
        quietly "ansible, by pip" "$venv/bin/python" -m pip install --disable-pip-version-check --no-input \
            "${what[@]}" >&2 || return 1
        printf '%s\n' "$mark" >"$venv/.made"
    fi
    printf '%s\n' "$venv"
}

# find_uv: print the uv of the environment that tests/run made, or the one on PATH.
find_uv() {
    local root uv
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    uv=${EDGED_TEST_VENV:-$root/.venv-test}/bin/uv
    if [ -x "$uv" ]; then printf '%s\n' "$uv"; else command -v uv; fi
}

# index_options PYTHON KEY…: uv reads no pip.conf, so an index that this machine's pip was given is handed on.
index_options() {
    local key value word
    for key in "${@:2}"; do
        value=$("$1" -m pip config get "global.$key" 2>/dev/null) || continue
        for word in $value; do
            case $key in
            index-url) printf '%s\n' --default-index "$word" ;;
            extra-index-url) printf '%s\n' --index "$word" ;;
            find-links) printf '%s\n' --find-links "$word" ;;
            esac
        done
    done
}

# board_requirements PYTHON CHECKOUT EXTRA…: what a board needs, one requirement a line, as setup.cfg and pyproject.toml
# have it; uv does not read setup.cfg.
board_requirements() {
    "$1" -I - "${@:2}" <<'PYTHON'
import configparser
import sys
import tomllib

checkout, *extras = sys.argv[1:]
setup = configparser.ConfigParser(interpolation=None)
setup.read(f"{checkout}/setup.cfg")
print(setup["options"]["install_requires"])
for name in extras:
    print(setup["options.extras_require"][name])
with open(f"{checkout}/pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["build-system"]["requires"], sep="\n")
PYTHON
}

# Constraints that pip knows and uv does not: uv ignores the upper bound of Requires-Python.
locked_out() {
    printf 'backports-strenum<1.3\n'
}

# lock_for PYTHON LOCK VERSION MACHINE: print what of a lock file is for that Python on that machine, without conditions.
lock_for() {
    "$1" -I - "${@:2}" <<'PYTHON'
import re
import sys

from pip._vendor.packaging.markers import Marker

path, version, machine = sys.argv[1:]
environment = {
    "python_version": version,
    "python_full_version": f"{version}.0",
    "platform_machine": machine,
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}
wanted = True
for line in open(path, encoding="utf-8"):
    if found := re.match(r"(\S+==\S+)(?: ; (.*?))?( \\)?$", line):
        wanted = found[2] is None or Marker(found[2]).evaluate(environment)
        line = f"{found[1]}{found[3] or ''}\n"
    if wanted and not line.startswith("#"):
        print(line, end="")
PYTHON
}

# lock_only PACKAGE LOCK and lock_without PACKAGE LOCK: print the lines of that package, or all others.
lock_only() {
    awk -v package="$1==" '/^[A-Za-z0-9#]/ { mine = index($0, package) == 1 } mine' "$2"
}
lock_without() {
    awk -v package="$1==" '/^[A-Za-z0-9#]/ { mine = index($0, package) == 1 } !mine' "$2"
}
