"""The kernel for machines whose KVM is itself emulated: kernel/edit/compat.py."""
import os
import pathlib
import re
import subprocess

from . import vmm


def is_needed():
    """No processor with virtualization: whatever /dev/kvm is, it interprets."""
    return not re.search(r"^flags.*\b(vmx|svm)\b", pathlib.Path("/proc/cpuinfo").read_text(), re.M)


def kernel():
    """Its file, made of the normal kernel in two seconds if it is not cached."""
    source = os.environ.get("KERNEL_SOURCE")  # as make takes it
    out = subprocess.run([vmm.ROOT / "kernel/build.sh", "--variant", "compat", *(["--source", source] if source else [])],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    return pathlib.Path(out.strip())


def words():
    """What its command line needs behind the product's own words."""
    return (vmm.ROOT / "kernel/edit/compat.cmdline").read_text().strip()
