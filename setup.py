"""Packs `actors/` as `ironforge.actors`, also where the link of that name is no folder, as in a zip archive."""

import shutil

from setuptools import find_packages, setup

# An earlier build may have left what is no part of the package any more.
shutil.rmtree("build/lib", ignore_errors=True)
setup(
    packages=[
        *find_packages(include=["ironforge*"], exclude=["ironforge.actors*"]),
        *(f"ironforge.{name}" for name in find_packages(include=["actors*"])),
    ],
    package_dir={"ironforge.actors": "actors"},
)
