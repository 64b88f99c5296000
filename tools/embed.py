#!/usr/bin/python3
"""Write the files of the agent skill as a C table: skill_files of src/cli/skills.h.

    embed.py FOLDER OUTPUT FILE...      paths in the table are relative to FOLDER
"""
import pathlib
import sys


def main():
    folder, output, *files = map(pathlib.Path, sys.argv[1:])
    text = '#include "cli/skills.h"\n\nconst struct skill_file skill_files[] = {\n'
    arrays = ""
    for i, file in enumerate(files):
        data = file.read_bytes()
        arrays += f"static const unsigned char file_{i}[] = {{{','.join(map(str, data))}}};\n"
        text += f'\t{{"{file.resolve().relative_to(folder.resolve())}", file_{i}, sizeof(file_{i})}},\n'
    head, table = text.split("\n\n", 1)
    output.write_text(f"{head}\n\n{arrays}\n{table}\t{{0}},\n}};\n")


if __name__ == "__main__":
    main()
