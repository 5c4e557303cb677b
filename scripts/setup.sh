#!/usr/bin/env bash
# Set up what "demo" or "test" needs: system packages, a virtual environment, softphone in it.
# Runs again in a second when there is nothing to do.
#
#   scripts/setup.sh demo|test        PYTHON and VENV as in the Makefile
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:?usage: scripts/setup.sh demo|test}
python=${PYTHON:-python3}
venv=${VENV:-.venv}

case $mode in
    demo) packages=(libportaudio2) extras="" ;;
    test) packages=(libportaudio2 pulseaudio pulseaudio-utils libasound2-plugins) extras="[test]" ;;
    *) echo "usage: scripts/setup.sh demo|test" >&2; exit 2 ;;
esac

say() { printf '==> %s\n' "$*"; }
die() { printf 'softphone: %s\n' "$*" >&2; exit 1; }

have_apt() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    local options=(-y -q --no-install-recommends)
    apt-get install "${options[@]}" "$@" >/dev/null 2>&1 && return
    apt-get update -q >/dev/null 2>&1 || return
    apt-get install "${options[@]}" "$@" >/dev/null
}

# Install packages where that is possible, name them otherwise; what is missing shows later.
want_packages() {
    local why=$1 missing=() package
    shift
    for package in "$@"; do installed "$package" || missing+=("$package"); done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -eq 0 ]; then
        say "installing ${missing[*]}"
        apt_install "${missing[@]}" && return
    fi
    say "not installed, needed for $why: apt install ${missing[*]}"
}

check_python() {
    command -v "$python" >/dev/null || die "there is no $python: install Python 3.11 or newer, or name one with PYTHON=..."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$("$python" -V 2>&1) is too old: Python 3.11 or newer is needed; name one with PYTHON=..."
}

has_headers() {
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
}

make_venv() {
    [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import pip' 2>/dev/null && return
    say "making the virtual environment $venv"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        die "$python can't make virtual environments: install its venv module (Debian and Ubuntu: apt install python3-venv)"
    "$python" -m venv --clear "$venv"
}

# Changes when another installation is needed: editing Python files of the package is not.
fingerprint() {
    { cat pyproject.toml setup.py build_backend/*.py; "$venv/bin/python" -VV; } | cksum
}

install_softphone() {
    local stamp="$venv/.softphone-$mode" now
    now=$(fingerprint)
    if [ "$(cat "$stamp" 2>/dev/null)" = "$now" ] && "$venv/bin/python" -c 'import softphone.opus' 2>/dev/null; then
        return
    fi
    say "installing softphone and what it needs; compiling libopus takes half a minute"
    "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off -e ".$extras"
    printf '%s\n' "$now" >"$stamp"
}

check_python
if have_apt; then
    command -v "${CC:-cc}" >/dev/null || want_packages "compiling libopus" gcc libc6-dev
    if [ "$(command -v "$python")" = /usr/bin/python3 ]; then
        "$python" -c 'import ensurepip' 2>/dev/null || want_packages "the virtual environment" python3-venv
        has_headers || want_packages "compiling the codec's binding" python3-dev
    fi
    want_packages "sound cards (the demo needs none)" "${packages[@]}"
fi
make_venv
install_softphone
