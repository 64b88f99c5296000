"""The engine that the suite runs on: MSB_ENGINE (auto, kvm or qemu), as for msb itself."""
import os
import pathlib

ASKED = os.environ.get("MSB_ENGINE") or "auto"


def hardware():
    """Whether the processor of this host can virtualize and KVM may be used."""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return bool({"vmx", "svm"} & set(line.split())) and os.access("/dev/kvm", os.R_OK | os.W_OK)
    return False


NAME = ASKED if ASKED != "auto" else "kvm" if hardware() else "qemu"
PROGRAMS = 1 if NAME == "qemu" else 0  # processes of the engine's own, below msb-vmm
