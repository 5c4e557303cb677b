"""A copy of the project to build from, and what it takes to break a build on purpose."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNREACHABLE = "http://127.0.0.1:9"

MakeTarball = Callable[[Mapping[str, str]], Path]
Build = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def make_tarball(tmp_path: Path) -> MakeTarball:
    """``make_tarball({name: text})``: a .tar.gz with these files."""

    def make(files: Mapping[str, str]) -> Path:
        path = tmp_path / "opus.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for name, text in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        return path

    return make


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that go into a build, without anything built before."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("softphone", "build_backend"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, copy)
    readme = ROOT / "README.md"
    (copy / "README.md").write_text(readme.read_text() if readme.exists() else "softphone\n")
    return copy


@pytest.fixture
def build(project: Path, tmp_path: Path) -> Build:
    """``build(hook="build_wheel", **environment)``: call the build as pip does, in a process.

    The network leads nowhere, and the user's cache is empty. ``CC`` and the like as given.
    """

    def call(hook: str = "build_wheel", **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith("SOFTPHONE_") and k not in ("CC", "CFLAGS")
        }
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), UNREACHABLE)
        env = {**clean, **proxies, "XDG_CACHE_HOME": str(tmp_path / "cache"), **environment}
        script = f"from build_backend import backend; print(backend.{hook}({str(tmp_path)!r}))"
        return subprocess.run(
            [sys.executable, "-c", script], cwd=project, env=env, capture_output=True, text=True, check=False
        )

    return call


HEADER = """
#include <stdint.h>
#define OPUS_APPLICATION_VOIP 2048
#define OPUS_RESET_STATE 4028
#define OPUS_SET_DRED_DURATION(x) 4050, (x)
typedef int32_t opus_int32;
typedef int16_t opus_int16;
typedef struct OpusEncoder OpusEncoder;
typedef struct OpusDecoder OpusDecoder;
typedef struct OpusDREDDecoder OpusDREDDecoder;
typedef struct OpusDRED OpusDRED;
"""
FUNCTIONS = (
    "const char *opus_get_version_string(void)",
    "OpusEncoder *opus_encoder_create(opus_int32 a, int b, int c, int *d)",
    "void opus_encoder_destroy(OpusEncoder *a)",
    "opus_int32 opus_encode(OpusEncoder *a, const opus_int16 *b, int c, unsigned char *d, opus_int32 e)",
    "opus_int32 opus_encode_float(OpusEncoder *a, const float *b, int c, unsigned char *d, opus_int32 e)",
    "int opus_encoder_ctl(OpusEncoder *a, int b, ...)",
    "OpusDecoder *opus_decoder_create(opus_int32 a, int b, int *c)",
    "void opus_decoder_destroy(OpusDecoder *a)",
    "int opus_decoder_ctl(OpusDecoder *a, int b, ...)",
    "int opus_decode_float(OpusDecoder *a, const unsigned char *b, opus_int32 c, float *d, int e, int f)",
    "int opus_decoder_dred_decode_float(OpusDecoder *a, const OpusDRED *b, opus_int32 c, float *d,"
    " opus_int32 e)",
    "OpusDREDDecoder *opus_dred_decoder_create(int *a)",
    "void opus_dred_decoder_destroy(OpusDREDDecoder *a)",
    "OpusDRED *opus_dred_alloc(int *a)",
    "void opus_dred_free(OpusDRED *a)",
    "int opus_dred_parse(OpusDREDDecoder *a, OpusDRED *b, const unsigned char *c, opus_int32 d, opus_int32 e,"
    " opus_int32 f, int *g, int h)",
    "int opus_dred_process(OpusDREDDecoder *a, const OpusDRED *b, OpusDRED *c)",
    "void opus_pcm_soft_clip(float *a, int b, int c, float *d)",
    "int opus_packet_parse(const unsigned char *a, opus_int32 b, unsigned char *c,"
    " const unsigned char *d[48], opus_int16 e[48], int *f)",
    "int opus_packet_get_bandwidth(const unsigned char *a)",
    "int opus_packet_get_samples_per_frame(const unsigned char *a, opus_int32 b)",
    "int opus_packet_get_nb_channels(const unsigned char *a)",
    "int opus_packet_get_nb_frames(const unsigned char *a, opus_int32 b)",
    "int opus_packet_get_nb_samples(const unsigned char *a, opus_int32 b, opus_int32 c)",
    "int opus_packet_has_lbrr(const unsigned char *a, opus_int32 b)",
)


@pytest.fixture
def system_opus(tmp_path: Path) -> Callable[[str, int], str]:
    """``system_opus(version, dred_result)``: install a stand-in for a system's libopus.

    It has every function softphone links to and no codec. Returns a PKG_CONFIG to find it.
    """

    def install(version: str, dred_result: int) -> str:
        prefix = tmp_path / "system"
        prefix.mkdir()
        (prefix / "opus.h").write_text(HEADER + "".join(f"{function};\n" for function in FUNCTIONS))
        bodies = []
        for function in FUNCTIONS:
            name = function.partition("(")[0].split()[-1].lstrip("*")
            value = {
                "opus_get_version_string": f'return "libopus {version}";',
                "opus_encoder_create": "*d = 0; return (OpusEncoder *)d;",
                "opus_encoder_ctl": f"return {dred_result};",
            }.get(name, "" if function.startswith("void") else "return 0;")
            bodies.append(f"{function} {{ {value} }}\n")
        (prefix / "opus.c").write_text('#include "opus.h"\n' + "".join(bodies))
        library = prefix / "libopus.a"
        subprocess.run(["cc", "-w", "-fPIC", "-c", "opus.c"], cwd=prefix, check=True)
        subprocess.run(["ar", "rcs", library, "opus.o"], cwd=prefix, check=True)
        tool = prefix / "pkg-config"
        tool.write_text(f"#!/bin/sh\ncase $1 in --libs) echo -L{prefix} -lopus;; *) echo -I{prefix};; esac\n")
        tool.chmod(0o755)
        return str(tool)

    return install
