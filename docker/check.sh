#!/bin/sh
# Runs every step of the Dockerfiles in a bare Debian, without Docker; see check_images.py.
set -eu
exec python3 "$(dirname "$0")/check_images.py" "$@"
