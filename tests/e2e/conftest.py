"""What tests of more than one file share and pytest hands out."""

from collections.abc import Iterator

import pytest

from .browser import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as started:
        yield started
