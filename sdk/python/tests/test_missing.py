"""What is missing is said: the library, the kernel, an engine."""
import pytest

CREATE = """
    import os
    from microsandbox import errors
    from microsandbox.sync import Sandbox
    try:
        Sandbox.create(image=os.environ["MSB_TEST_IMAGE"], memory=64)
    except errors.MicrosandboxError as e:
        print(type(e).__name__, e.code_name, e.message, "|", e.hint)
"""


def test_no_library(program, tmp_path):
    said = program(CREATE, MICROSANDBOX_LIBRARY=str(tmp_path / "none.so")).stdout
    assert said.startswith("LibraryNotFoundError install")
    assert "none.so" in said and "MICROSANDBOX_LIBRARY" in said.split("|")[1]


def test_a_library_that_is_another(program):
    said = program(CREATE, MICROSANDBOX_LIBRARY="libc.so.6").stdout
    assert said.startswith("UnsupportedError unsupported") and "older" in said


def test_no_kernel(program, tmp_path):
    said = program(CREATE, MSB_RUNTIME=str(tmp_path)).stdout
    assert said.startswith("InstallError install"), said
    assert said.split("|")[1].strip()


def test_an_engine_that_cannot_be_used(program):
    import pathlib

    flags = pathlib.Path("/proc/cpuinfo").read_text()
    if " vmx" in flags or " svm" in flags:
        pytest.skip("this host has hardware virtualization")
    said = program(CREATE, MSB_ENGINE="kvm").stdout
    assert said.split()[1] in ("unsupported", "install", "boot"), said
    assert "kvm" in said.lower()


def test_doctor_says_what_is_missing(program, tmp_path):
    said = program(
        """
        import asyncio, microsandbox
        async def main():
            print([c.name for c in await microsandbox.doctor() if c.status == "fail"])
            print(await microsandbox.is_installed())
        asyncio.run(main())
        """,
        MSB_RUNTIME=str(tmp_path),
    ).stdout.splitlines()
    assert "runtime" in said[0] or "kernel" in said[0]
    assert said[1] == "False"
