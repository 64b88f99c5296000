"""What mypy must refuse: each line with a "wrong" comment, and no other."""
from typing import List

import microsandbox
from microsandbox import Image, Mount, Network, Patch, Port, Rule, Sandbox, Secret, Volume
from microsandbox import sync


async def creation() -> None:
    await Sandbox.create("n", image="alpine", memory=512, cpus=2, env={"A": "b"}, detached=True)
    await Sandbox.create(7, image="alpine")  # wrong
    await Sandbox.create("n", image=7)  # wrong
    await Sandbox.create("n", image="alpine", memory="512M")  # wrong
    await Sandbox.create("n", image="alpine", cpus=1.5)  # wrong
    await Sandbox.create("n", image="alpine", env=["A=b"])  # wrong
    await Sandbox.create("n", image="alpine", env={"A": 1})  # wrong
    await Sandbox.create("n", image="alpine", max_cpus=2)  # wrong
    await Sandbox.create("n", image="alpine", pull_policy="sometimes")  # wrong
    await Sandbox.create("n", image="alpine", volumes={"/a": "/b"})  # wrong
    await Sandbox.create("n", image="alpine", patches=["/a"])  # wrong
    await Sandbox.create("n", image="alpine", network="none")  # wrong
    await Sandbox.create("n", image="alpine", ports={"80": 80})  # wrong
    await Sandbox.create("n", image="alpine", secrets={"K": "v"})  # wrong


async def values() -> None:
    Volume.bind("/a", readonly=True)
    Volume.bind("/a", readonly="yes")  # wrong
    Volume.tmpfs(size=16, quota=1)  # wrong
    Mount("nfs", "/a")  # wrong
    Patch.text("/a", 1)  # wrong
    Port(1)  # wrong
    Network(strict=1)  # wrong
    Network(default_egress="maybe")  # wrong
    Rule.allow("a.example", direction="up")  # wrong
    Secret.env("K", value=b"v")  # wrong
    port = Port(1, 2)
    port.host_port = 3  # wrong


async def calls(sandbox: Sandbox, plain: sync.Sandbox) -> None:
    output = await sandbox.exec("ls", ["-l"], cwd="/", timeout=3)
    names: List[str] = output.stdout_text.split()
    number: int = output.stdout_text  # wrong
    await sandbox.exec("ls", "-l -a")  # a text is a list of texts to mypy; the call refuses it
    await sandbox.exec("ls", [1])  # wrong
    await sandbox.exec("ls", timeout="1s")  # wrong
    await sandbox.exec("ls", no_such_option=1)  # wrong
    await sandbox.fs.write("/a", 1)  # wrong
    text: str = await sandbox.fs.read("/a")  # wrong
    sandbox.exec("ls").stdout_text  # wrong
    plain.exec("ls").stdout_text
    await plain.exec("ls")  # wrong
    async for event in await sandbox.exec_stream("ls"):
        if event.event_type == "stdout":
            print(event.data.decode(), names, number, text)
    for line in plain.exec_stream("ls"):
        print(line.text)
    await Image.pull("x", policy="maybe")  # wrong
    microsandbox.version(1)  # wrong
    async for sample in sandbox.metrics_stream(1.0):
        print(sample.cpu_percent + 1, sample.no_such_member)  # wrong
