"""Ends the machines of a test run that was killed: `guard.py MSB FOLDER`, whose standard input ends with the run.

Detached machines are made to outlive their creator, so nothing else would end them.
"""
import os
import pathlib
import subprocess
import sys


def main():
    msb, folder = sys.argv[1:]
    sys.stdin.read()
    for record in pathlib.Path(folder).rglob("state.db"):
        env = dict(os.environ, MSB_HOME=str(record.parent))
        names = subprocess.run([msb, "ls", "-q", "--running"], env=env, stdout=subprocess.PIPE, text=True).stdout.split()
        if names:
            subprocess.run([msb, "kill", "-q", *names], env=env)


if __name__ == "__main__":
    main()
