"""The part of the build that pyproject.toml can't say: one extension module, made by our command."""

from setuptools import setup

from build_backend.command import STABLE_ABI, BuildOpus, opus_extension

setup(
    ext_modules=[opus_extension()],
    cmdclass={"build_ext": BuildOpus},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE_ABI else {},
)
