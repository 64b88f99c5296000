"""More commands at once than a guest can take."""
from test_api import api_program


def test_a_burst_waits_and_a_crowd_is_told(build_dir, msb, busybox_image, tmp_path):
    assert api_program(build_dir, msb, busybox_image, tmp_path, "burst") == (0, "done\n", "")
