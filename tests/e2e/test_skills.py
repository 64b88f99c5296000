"""The agent skill: every command that it shows runs and prints what it says; msb skills puts it where agents look."""
import hashlib
import json
import os
import pathlib
import re
import stat
import subprocess

import pytest

from conftest import need
from lib.cli import Cli

TOP = pathlib.Path(__file__).resolve().parents[2]
SKILL = TOP / "skills/microsandbox"
PAGES = sorted(p.relative_to(SKILL) for p in SKILL.rglob("*.md"))
FILES = sorted(str(p.relative_to(SKILL)) for p in SKILL.rglob("*") if p.is_file())
LANGUAGES = {"sh", "text", "python", "typescript"}


# ---- what the skill shows ------------------------------------------------------------------------------------------

def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", (SKILL / page).read_text(), re.M | re.S)


def steps(page):
    """Commands and what they print: lines behind "#> "; "(exit 3)" is a status, "..." any lines."""
    found = []
    for block in blocks(page, "sh"):
        commands, expected = [], []
        for line in block.splitlines():
            if line.startswith("#>"):
                expected.append(line[3:])
            else:
                if expected:
                    found.append(("\n".join(commands), expected))
                    commands, expected = [], []
                commands.append(line)
        found.append(("\n".join(commands), expected))
    return found


def matches(expected, lines):
    pattern = "\n".join(".*" if e == "..." else re.escape(e) for e in expected)
    return re.fullmatch(pattern, "\n".join(lines), re.S)


@pytest.fixture(scope="module")
def images(build_dir, busybox_image, python_image, tmp_path_factory):
    """A home that has the images under the names that the skill uses."""
    msb = Cli(build_dir, tmp_path_factory.mktemp("skill") / "home")
    msb.ok("load", "-q", "-i", busybox_image, "-t", "alpine")
    msb.ok("load", "-q", "-i", python_image, "-t", "python:3.12")
    return msb


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "sh")], ids=str)
def test_every_command_does_what_the_skill_says(images, page, tmp_path):
    script, wanted = "", steps(page)
    for i, (commands, _) in enumerate(wanted):
        script += f"{{\n{commands}\n}} >{tmp_path}/out.{i} 2>{tmp_path}/err.{i}; echo $? >{tmp_path}/code.{i}\n"
    (tmp_path / "work-here").mkdir()
    env = images.environment({"PATH": f"{pathlib.Path(images.msb).parent}:{os.environ['PATH']}", "SKILL": str(SKILL)})
    try:
        subprocess.run(["bash", "-c", script], cwd=tmp_path / "work-here", env=env, check=True, timeout=300,
                       stdin=subprocess.DEVNULL)
        for i, (commands, expected) in enumerate(wanted):
            lines = (tmp_path / f"out.{i}").read_text().splitlines()
            code = int((tmp_path / f"code.{i}").read_text())
            told = lines + ([f"(exit {code})"] if code else [])
            assert matches(expected, told), (commands, told, (tmp_path / f"err.{i}").read_text())
        assert images.ok("ls", "-q") == "" and images.ok("volume", "ls", "-q") == "", "the page cleans up"
    finally:
        images("rm", "-q", "-f", *images.ok("ls", "-q").split())


def program(code, mark):
    """What it prints is behind @mark in its last lines."""
    return [line[len(mark) + 1:] for line in code.splitlines() if line.startswith(mark)]


@pytest.fixture(scope="module")
def sdk_env(images, build_dir):
    return images.environment({"MICROSANDBOX_LIBRARY": str(build_dir / "libmicrosandbox.so.0"), "MSB_RUNTIME": str(build_dir),
                               "PYTHONPATH": str(TOP / "sdk/python"), "PYTHONDONTWRITEBYTECODE": "1"})


@pytest.mark.parametrize("number", range(len(blocks("references/sdk-python.md", "python"))))
def test_python_programs_do_what_the_skill_says(sdk_env, number, tmp_path):
    code = blocks("references/sdk-python.md", "python")[number]
    r = subprocess.run(["/usr/bin/python3", "-c", code], cwd=tmp_path, env=sdk_env, timeout=120, capture_output=True)
    assert (r.returncode, r.stdout.decode().splitlines()) == (0, program(code, "#>")), r.stderr.decode()


@pytest.mark.parametrize("number", range(len(blocks("references/sdk-typescript.md", "typescript"))))
def test_typescript_programs_do_what_the_skill_says(sdk_env, number, tmp_path):
    need("node")
    built = subprocess.run([TOP / "sdk/node/build.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules/microsandbox").symlink_to(built)
    code = blocks("references/sdk-typescript.md", "typescript")[number]
    (tmp_path / "program.mjs").write_text(code)
    r = subprocess.run(["node", "program.mjs"], cwd=tmp_path, env=sdk_env, timeout=120, capture_output=True)
    assert (r.returncode, r.stdout.decode().splitlines()) == (0, program(code, "//>")), r.stderr.decode()


def test_options_that_are_only_named_are_there(msb):
    tree = msb.ok("--tree")
    known = set(re.findall(r"--[a-z0-9][a-z0-9-]*", tree)) | {"--help", "--yes"}
    known |= {"--retry", "--retry-delay", "--retry-all-errors"}  # curl's
    for page in PAGES:
        text = re.sub(r"^```(python|typescript)\n.*?^```$", "", (SKILL / page).read_text(), flags=re.M | re.S)
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)) <= known, page


def test_the_form_is_the_common_one():
    """agentskills.io's: what an agent reads of all skills, before it opens one."""
    text = (SKILL / "SKILL.md").read_text()
    head = re.match(r"---\n(.*?)\n---\n", text, re.S)[1]
    fields = dict(re.findall(r"^([a-z]+): *(.*)$", head, re.M))
    assert set(fields) == {"name", "description", "license", "compatibility", "metadata"}
    assert fields["name"] == SKILL.name == "microsandbox"
    assert 0 < len(fields["description"]) <= 1024 and 0 < len(fields["compatibility"]) <= 500
    assert len(text.splitlines()) < 500
    for page in PAGES:
        text = (SKILL / page).read_text()
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert ((SKILL / page).parent / target).is_file(), (page, target)
        assert set(re.findall(r"^```(\w+)$", text, re.M)) <= LANGUAGES, page
    forms = sum(len(blocks(p, "text")) for p in PAGES)
    assert forms <= sum(len(blocks(p, "sh")) for p in PAGES) / 5, "what does not run is the exception"


# ---- msb skills ----------------------------------------------------------------------------------------------------

@pytest.fixture
def skills(build_dir, tmp_path):
    """msb skills in an empty project, with an empty home folder."""
    project, home = tmp_path / "project", tmp_path / "user"
    project.mkdir()
    home.mkdir()
    msb = Cli(build_dir, tmp_path / "home", HOME=str(home))
    msb.env.pop("CLAUDE_CONFIG_DIR", None)
    msb.project, msb.user = project, home
    return lambda *args, **kw: msb("skills", *args, cwd=kw.pop("cwd", project), **kw), project, home


def ok(r):
    assert r.returncode == 0, (r.out, r.err)
    return r


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def same_as_ours(folder):
    assert files(folder) == sorted([".msb-skill.json", *FILES])
    for name in FILES:
        assert (folder / name).read_bytes() == (SKILL / name).read_bytes(), name


PLACES = [("claude-code", ".claude/skills", ".claude/skills"), ("cursor", ".cursor/skills", ".cursor/skills"),
          ("codex", ".agents/skills", ".agents/skills"), ("gemini-cli", ".gemini/skills", ".gemini/skills"),
          ("copilot", ".github/skills", ".copilot/skills"), ("agents", ".agents/skills", ".agents/skills")]


@pytest.mark.parametrize("agent, here, everywhere", PLACES, ids=[p[0] for p in PLACES])
def test_each_agent_has_its_folder(skills, agent, here, everywhere):
    msb, project, user = skills
    assert "Installed" in ok(msb("install", "--for", agent)).err
    same_as_ours(project / here / "microsandbox")
    assert files(user) == []
    ok(msb("install", "--for", agent, "--global"))
    same_as_ours(user / everywhere / "microsandbox")
    script = project / here / "microsandbox/scripts/ensure.sh"
    assert stat.S_IMODE(script.stat().st_mode) == 0o755
    rows = json.loads(ok(msb("list", "--format", "json")).out)
    assert [(r["scope"], r["state"], agent in r["agents"]) for r in rows] == [
        ("project", "current", True), ("global", "current", True)]
    assert "Removed" in ok(msb("remove")).err and files(project) == []
    ok(msb("remove", "-g", "--for", agent))
    assert files(user) == [] and not (user / everywhere / "microsandbox").exists()


def test_without_an_agent_it_is_for_those_that_are_used(skills):
    msb, project, user = skills
    (project / ".claude").mkdir()
    (project / "GEMINI.md").touch()
    (project / ".github").mkdir()  # of many projects that do not use Copilot
    rows = json.loads(ok(msb("install", "--format", "json")).out)
    assert [(r["agents"], r["path"], r["action"]) for r in rows] == [
        (["claude-code"], str(project / ".claude/skills/microsandbox"), "installed"),
        (["gemini-cli"], str(project / ".gemini/skills/microsandbox"), "installed")]
    r = ok(msb("install", "--global"))
    assert "common one" in r.err and (user / ".agents/skills/microsandbox/SKILL.md").is_file()
    assert ok(msb("install", "--for", "all")).err.count("microsandbox") == 5
    assert ok(msb("install", "--for", "all")).err.count("Up to date") == 5


def test_dry_run_writes_nothing(skills):
    msb, project, _ = skills
    assert "Would install" in ok(msb("install", "--dry-run", "--for", "cursor")).err
    assert list(project.iterdir()) == []
    ok(msb("install", "--for", "cursor"))
    assert "Would remove" in ok(msb("remove", "--dry-run")).err
    same_as_ours(project / ".cursor/skills/microsandbox")


def test_a_changed_file_stays_without_force(skills):
    msb, project, _ = skills
    ok(msb("install", "--for", "claude-code"))
    place = project / ".claude/skills/microsandbox"
    (place / "SKILL.md").write_text("mine\n")
    (place / "references/cli.md").unlink()
    for verb in ("install", "remove"):
        r = msb(verb)
        assert r.returncode == 1 and "SKILL.md is not as msb put it there" in r.err and "--force" in r.err
        assert msb(verb, "--dry-run").returncode == 1
    assert (place / "SKILL.md").read_text() == "mine\n" and not (place / "references/cli.md").exists()
    assert json.loads(ok(msb("list", "--format", "json")).out)[0]["state"] == "changed"
    assert "Replaced" in ok(msb("install", "--force")).err
    same_as_ours(place)
    (place / "notes.md").write_text("of the user's\n")
    ok(msb("remove"))
    assert files(place) == ["notes.md"]


def test_another_version_is_updated_and_what_it_had_goes(skills):
    msb, project, _ = skills
    ok(msb("install", "--for", "codex"))
    place = project / ".agents/skills/microsandbox"
    record = json.loads((place / ".msb-skill.json").read_text())
    for name in ("SKILL.md", "references/gone.md"):
        (place / name).write_text("of an older msb\n")
        record["files"][name] = hashlib.sha256(b"of an older msb\n").hexdigest()
    (place / ".msb-skill.json").write_text(json.dumps(record))
    assert json.loads(ok(msb("list", "--format", "json")).out)[0]["state"] == "outdated"
    assert "Updated" in ok(msb("install")).err
    same_as_ours(place)


def test_links_and_records_of_others_lead_nowhere(skills, tmp_path):
    msb, project, _ = skills
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "cli.md").write_text("precious\n")
    place = project / ".claude/skills/microsandbox"
    place.parent.mkdir(parents=True)
    place.symlink_to(outside)
    r = msb("install", "--for", "claude-code", "--force")
    assert r.returncode == 1 and "is not a folder" in r.err
    place.unlink()
    place.mkdir()
    (place / "references").symlink_to(outside)
    assert msb("install", "--for", "claude-code", "--force").returncode == 1
    assert files(outside) == ["cli.md"] and (outside / "cli.md").read_text() == "precious\n"
    (place / "references").unlink()
    # A record that names a file elsewhere, with its digest.
    digest = hashlib.sha256(b"precious\n").hexdigest()
    (place / ".msb-skill.json").write_text(json.dumps({"version": "0", "files": {
        name: digest for name in ("../../../../outside/cli.md", str(outside / "cli.md"), "a/../../b", "", "..")}}))
    ok(msb("install", "--for", "claude-code", "--force"))
    same_as_ours(place)
    ok(msb("remove", "--force"))
    assert (outside / "cli.md").read_text() == "precious\n"
    for damaged in ("", "{", "[]", '{"files": 3}', '{"files": {"SKILL.md": 3}}', "x" * 100_000):
        ok(msb("install", "--for", "claude-code"))
        (place / ".msb-skill.json").write_text(damaged)
        assert "Up to date" in ok(msb("install", "--for", "claude-code")).err
        ok(msb("remove"))


def test_what_cannot_be_is_said(skills, tmp_path):
    msb, project, user = skills
    r = msb("install", "--project", "--global")
    assert r.returncode == 2 and "exclude" in r.err
    r = msb("install", "--for", "clippy")
    assert r.returncode == 2 and "claude-code" in r.err
    (project / ".cursor").write_text("a file")
    r = msb("install", "--for", "cursor")
    assert r.returncode == 1 and str(project / ".cursor") in r.err
    r = msb("install", "--global", env={"HOME": None})
    assert r.returncode == 1 and "HOME" in r.err
    ok(msb("install", "-g", "--for", "claude-code", env={"CLAUDE_CONFIG_DIR": str(tmp_path / "claude")}))
    same_as_ours(tmp_path / "claude/skills/microsandbox")
    assert files(user) == []
    assert "Nothing to remove" in ok(msb("remove")).err
    assert json.loads(ok(msb("remove", "--format", "json")).out) == []


def test_show_prints_the_files(skills):
    msb, _, _ = skills
    assert ok(msb("show")).out == (SKILL / "SKILL.md").read_text()
    for name in FILES:
        assert ok(msb("show", name)).out == (SKILL / name).read_text()
    r = msb("show", "../SKILL.md")
    assert r.returncode == 1 and "references/cli.md" in r.err
