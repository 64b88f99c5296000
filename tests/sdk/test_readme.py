"""The README's lines of each language stand in that SDK's own README, whose examples that SDK's tests run."""
import pathlib
import re
import textwrap

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
LANGUAGES = {"python": "python", "js": "node", "go": "go", "rust": "rust", "ruby": "ruby"}


@pytest.mark.parametrize("word", LANGUAGES)
def test_lines_are_those_of_an_example_that_runs(word):
    section = (TOP / "README.md").read_text().split("## From your language")[1].split("\n## ")[0]
    (block,) = re.findall(rf"^```{word}\n(.*?)^```$", section, re.M | re.S)
    text = (TOP / "sdk" / LANGUAGES[word] / "README.md").read_text()
    run = re.findall(r"^```\w+\n(?:#|//) example: .*?^```$", text, re.M | re.S)
    first = block.splitlines()[0]
    for example in run:
        for line in example.splitlines():
            if line.strip() == first:
                indent = line[:len(line) - len(first)]
                if textwrap.indent(block, indent) in example:
                    return
    pytest.fail(f"not in an example of sdk/{LANGUAGES[word]}/README.md:\n{block}")
