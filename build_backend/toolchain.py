"""The C compiler, cmake and ninja, and running them."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from build_backend.errors import BuildError

__all__ = ["build_tool", "check_compiler", "compile_program", "run"]

_HOW_TO_GET_ONE = {
    "linux": "install one (Debian and Ubuntu: apt install gcc libc6-dev)",
    "darwin": "install one (xcode-select --install)",
}


def check_compiler() -> None:
    """Make sure that there is a C compiler that works, and that setuptools and cmake use it.

    Raises :class:`BuildError` when there is none, or Python's headers are missing.
    """
    compiler = _find_compiler()
    os.environ["CC"] = shlex.join(compiler)
    with tempfile.TemporaryDirectory() as folder:
        works, output = compile_program("int main(void) { return 0; }\n", Path(folder), [])
        if not works:
            raise BuildError(
                f"the C compiler {compiler[0]} can't make a program ({_last_line(output)}): {_advice()}."
            )
        include = [f"-I{sysconfig.get_path('include')}", f"-I{sysconfig.get_path('platinclude')}", "-c"]
        works, output = compile_program("#include <Python.h>\n", Path(folder), include)
    if not works:
        raise BuildError(
            f"the headers of Python {sys.version_info.major}.{sys.version_info.minor} are missing: install "
            "them (Debian and Ubuntu: apt install python3-dev)."
        )


def build_tool(name: str) -> str:
    """Path of ``cmake`` or ``ninja``: of this Python's environment first, then of PATH."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if found is None:
        raise BuildError(f"{name} is missing: install it with 'pip install {name}'.")
    return found


def compile_program(text: str, folder: Path, flags: list[str]) -> tuple[bool, str]:
    """Compile C source to ``folder/program``; whether it worked, and what the compiler said."""
    source = folder / "program.c"
    source.write_text(text)
    command = [*shlex.split(os.environ["CC"]), str(source), "-o", str(folder / "program"), *flags]
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        return False, str(error)
    return done.returncode == 0, done.stdout


def run(command: list[str], purpose: str) -> None:
    """Run a step of the build; when it fails print the end of its output and raise `BuildError`."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    if done.returncode:
        print("\n".join(done.stdout.splitlines()[-40:]), flush=True)
        raise BuildError(
            f"{purpose} failed ({Path(command[0]).name} gave {done.returncode}); its output is above: check "
            "that the compiler is complete and the disk is not full."
        )


def _find_compiler() -> list[str]:
    wanted = shlex.split(os.environ.get("CC", ""))
    if wanted:
        if shutil.which(wanted[0]) is None:
            raise BuildError(f"CC names the C compiler {wanted[0]}, which is not there: correct or unset CC.")
        return wanted
    configured = shlex.split(sysconfig.get_config_var("CC") or "")[:1]
    for name in [*configured, "cc", "gcc", "clang"]:
        if shutil.which(name) is not None:
            return [name]
    raise BuildError(f"there is no C compiler: {_advice()}.")


def _advice() -> str:
    return _HOW_TO_GET_ONE.get(sys.platform, "install gcc or clang")


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"
