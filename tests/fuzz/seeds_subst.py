#!/usr/bin/python3
"""Seeds for needle, subst and mask: placeholders and values in all forms."""
import base64
import random
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
rng = random.Random(1)

# As in fuzz_subst.c and fuzz_mask.c.
PLACEHOLDERS = [["MSB_A", "MSB_AB", "SB_%4", "zzzz"],
                ["abab\\", "4DSBx", "é😀/", "MSB_EVIL"],
                ["aaaa", "aaaab", "%61%61", 'baaa"'],
                ["$KEY", "$KEY2", "$KEY_BODY", "$BASIC"]]
VALUES = [b'val"ue%\\', b"abcabcabc", b"\xff\xfe\xfbk\xbf\xff~", b"short",
          b"not masked", b"elsewhere"]
# Raw, percent, JSON: each letter in one of these ways.
MODES = ["r", "p", "j", "rp", "rj", "rpj"]


def encoded(text: str, modes: str) -> bytes:
    out = b""
    for letter in text:
        how = rng.choice(modes)
        if how == "r":
            out += letter.encode()
        elif how == "p":
            out += b"".join(b"%%%02X" % b for b in letter.encode())
        else:
            wide = letter.encode("utf-16-be")
            out += b"".join(b"\\u%02x%02x" % (wide[i], wide[i + 1])
                            for i in range(0, len(wide), 2))
    return out


def encoded_bytes(data: bytes, modes: str) -> bytes:
    out = b""
    for byte in data:
        how = rng.choice(modes)
        if how == "p":
            out += b"%%%02X" % byte
        elif how == "j" and byte < 128:
            out += b"\\u%04x" % byte
        else:
            out += bytes([byte])
    return out


def write(target: str, seeds: list[bytes]) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number:02}").write_bytes(seed)


def subst() -> list[bytes]:
    seeds = []
    for which, placeholders in enumerate(PLACEHOLDERS):
        for number, modes in enumerate(MODES):
            text = b"/a?x=" + b"".join(
                encoded(p, modes) + rng.choice([b"", b"&", b' "'])
                for p in placeholders)
            kind, cut = number % 4, [0, 1, 7][number % 3]
            seeds.append(bytes([which + 4 * kind, cut]) + text)
    return seeds


def mask() -> list[bytes]:
    seeds = []
    for number, modes in enumerate(MODES):
        seeds.append(bytes([number]) + b"{" + b"".join(
            encoded_bytes(v, modes) + rng.choice([b" ", b'"', b"aa"])
            for v in VALUES))
    for before in range(4):
        text = b""
        for value in VALUES[:3]:
            plain = b"u" * before + value + b"p" * (before % 3)
            text += encoded_bytes(base64.b64encode(plain),
                                  rng.choice(["r", "rp", "rj"])) + b" "
            text += base64.urlsafe_b64encode(plain)
        seeds.append(bytes([before * 5]) + text)
    return seeds


def needle() -> list[bytes]:
    def one(cut: int, needles: list[bytes], text: bytes) -> bytes:
        return bytes([cut]) + b"".join(
            bytes([len(n)]) + n for n in needles) + b"\0" + text

    return [one(5, [b"MSB_A", b"MSB_AB", b"ABA"], b"xxMSB_ABABABMSB_AMSB_"),
            one(0, [b"aa", b"aaab", b"ab"], b"aaaabaaaabbb"),
            one(9, [b"MSB_%032x" % i for i in (1, 2, 3)],
                b"." * 99 + b"MSB_%032x" % 2 + b"MSB_0000"),
            one(77, [], b"nothing to look for")]


if __name__ == "__main__":
    write("subst", subst())
    write("mask", mask())
    write("needle", needle())
