import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from netns import Namespaces, why_not  # noqa: E402


@pytest.fixture(scope="module")
def net(request):
    """Three namespaces of this file's own."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    spaces = Namespaces(pathlib.Path(request.module.__file__).stem.removeprefix("test_"))
    try:
        yield spaces.up()
    finally:
        spaces.down()
