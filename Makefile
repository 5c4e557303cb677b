# make demo   set everything up and make a demo call between two processes on this machine
# make test   set everything up and run every check
#
# PYTHON names the Python to use (3.11 or newer), VENV the virtual environment,
# ARGS more arguments for the demo or for pytest.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
export PYTHON VENV

.PHONY: demo test setup clean

demo:
	@scripts/setup.sh demo
	@"$(VENV)/bin/softphone" demo $(ARGS)

test:
	@scripts/setup.sh test
	@scripts/check.sh $(ARGS)

setup:
	@scripts/setup.sh demo

clean:
	rm -rf "$(VENV)" build dist *.egg-info softphone/opus/_opus*.so
