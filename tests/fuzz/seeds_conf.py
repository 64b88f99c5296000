#!/usr/bin/env python3
"""Seeds of the targets conf (first byte: which option) and toml."""
import pathlib

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"

CONF = {
    "whole": (0, """image: alpine
pull_policy: never
cpus: 3
memory: 1.5G
max_duration: 2m
idle_timeout: 90
rlimits:
  - {resource: nofile, soft: 10, hard: 20}
workdir: "/srv/$${HOME}"
shell: /bin/bash
user: 1000
entrypoint: [/bin/sh, -c]
cmd: ['a', "b\\tc"]
env: {A: 1, B: 'yes'}
labels: {team: x}
init: {cmd: auto, args: [a], env: {K: v}}
scripts:
  hi: |
    echo hi
network: none
security: default
mounts: []
"""),
    "image-map": (0, "image: {bind: ./root, upper_size: 2G}\n"),
    "resource": (1, "cpus: 1\nmemory: 64\n"),
    "runtime": (2, "hostname: a\nuser: b\n"),
    "script": (3, "a: |-\n  x\nb: >\n  folded\n  text\n"),
    "net": (4, "policy: none\n"),
    "later": (0, "secrets: {A: {allow: [b]}}\n"),
    "variable": (0, "workdir: ${HOME}/x\n"),
    "unset": (0, "workdir: ${MSB_NOT_SET}\n"),
    "anchor": (0, "a: &x [1]\nb: *x\n"),
    "tag": (0, "cpus: !!int 3\n"),
    "twice": (0, "cpus: 1\ncpus: 2\n"),
    "documents": (0, "---\ncpus: 1\n---\ncpus: 2\n"),
    "deep": (0, "[" * 20),
    "boolean": (0, "env: {A: yes}\n"),
    "directive": (0, "%YAML 1.2\n---\ncpus: 1\n"),
    "complex-key": (0, "? {a: b}\n: c\n"),
    "bom": (0, "\ufeffcpus: 1\n"),
}
TOML = {
    "whole": '''# settings
[sandbox_defaults]
cpus = 2
memory = "2G"          # or a number
shell = '/bin/sh'
yes = true
list = ["a", # b
  'c',]
[sandbox_defaults.env]
A = "\\u00e9\\n\\""
[sandbox."my.box"]
n = -1_000
''',
    "float": "a = 1.5\n",
    "inline": "a = {b = 1}\n",
    "tables": "[[a]]\n",
    "twice": "a = 1\na = 2\n",
    "multi": 'a = """b"""\n',
    "open": 'a = "b',
    "crlf": "a = 1\r\nb = 'x'\r\n",
    "escape": 'a = "\\U0001F600\\q"\n',
}


def write(target, name, content):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


for name, (option, text) in CONF.items():
    write("conf", name, bytes([option]) + text.encode())
for name, text in TOML.items():
    write("toml", name, text.encode())
