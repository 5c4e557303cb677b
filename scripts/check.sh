#!/usr/bin/env bash
# Run every check of the project; arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

bin="${VENV:-.venv}/bin"
step() { printf '==> %s\n' "$*"; }

step "ruff"
"$bin/python" -m ruff check .
"$bin/python" -m ruff format --check --quiet .
step "mypy"
"$bin/python" -m mypy
step "pytest"
"$bin/python" -m pytest "$@"
