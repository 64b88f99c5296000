"""An installation as `make install` makes one, staged below a folder (DESTDIR)."""
import os
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[3]


class Installed:
    def __init__(self, build, stage):
        self.stage = stage
        subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", stage], check=True)
        self.msb = next(stage.rglob("bin/msb"))
        self.prefix = self.msb.parent.parent
        for step in ("install-kernel.sh", "install-list.py"):
            subprocess.run([TOP / "tools" / step, build, self.prefix], check=True)
        self.pkgconfig = next(stage.rglob("microsandbox.pc")).parent

    def flags(self, *what):
        """What pkg-config says, for the staged tree."""
        env = dict(os.environ, PKG_CONFIG_PATH=str(self.pkgconfig), PKG_CONFIG_SYSROOT_DIR=str(self.stage))
        return subprocess.run(["pkg-config", *what, "microsandbox"], env=env, check=True, capture_output=True,
                              text=True).stdout.split()
