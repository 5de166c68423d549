"""What `import ironforge` offers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ironforge


@pytest.mark.parametrize("name", ironforge.__all__)
def test_every_public_name_is_there(name):
    assert getattr(ironforge, name) is not None


def test_a_wrong_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Forgee"):
        ironforge.Forgee  # noqa: B018


def test_importing_it_loads_no_http_stack():
    code = "import sys, ironforge; print('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
