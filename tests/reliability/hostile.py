"""Files made by an enemy, and the commands that read them: run many times in a process that may crash.

A mutation is a function of a seed and a number, so that a case that failed can be made again.
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

ODD = [
    *(b"\0", b"\t", b"\n", b"\r\n", b" ", b"\\", b"\x1b[31m", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
    *(b"nan", b"-inf", b"1e999", b"-1", b"0", b"0.5", b"9" * 40, b"1" * 5000, b"0x10", b"1_0", "٣".encode()),
    *(b" ||| ", b"|||", b"=", b":", b"\\data\\", b"\\end\\", b"\\1-grams:", b"ngram 1=99999999999", b"<unk>", b"</s>"),
    *(b"{", b"}", b"[" * 3000, b"{" * 3000, b'"', b"'", b"true", b"null", b'{"step": 1}', b"#unit\tbyte", b"<eps> 0"),
    *("\u2028".encode(), "\u202e".encode(), b"x" * 70_000, b"a " * 3000),
]
"""What is put into files: numbers that are none or too large, white space, keywords in wrong places, depth."""

VALUES: list[Any] = [
    *(None, True, -1, 0, 1, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, "", "x", "\x1b[31m", "lstm:8", "lstm:9999999"),
    *([], {}, [[]], [1, "a"], {"a": 1}, "none", "carry", "full", "a" * 10_000),
]
"""What stands in place of values of JSON."""

MEMORY = 600 << 20
"""Bytes that a command may take beyond what its process has."""

SECONDS = 20
"""Of the processor's time for one file; most take a hundredth of one."""


def mutated(data: bytes, random: Random) -> bytes:
    """A file with one to four things wrong."""
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        data = random.choice(_WAYS)(data, random)
    return data


def _flip(data: bytes, random: Random) -> bytes:
    if not data:
        return data
    place = random.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]


def _replace(data: bytes, random: Random) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.randbytes(random.randrange(1, 5)) + data[place + random.randrange(5) :]


def _insert(data: bytes, random: Random) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.choice(ODD) + data[place:]


def _delete(data: bytes, random: Random) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + data[place + random.choice([1, 2, 9, 100, len(data)]) :]


def _repeat(data: bytes, random: Random) -> bytes:
    one, other = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:other] + data[one:]


def _word(data: bytes, random: Random) -> bytes:
    """A word, most of which are numbers, becomes something else."""
    words = [match.span() for match in re.finditer(rb"[^\s=:|]+", data[:20_000])]
    if not words:
        return data
    start, end = random.choice(words)
    return data[:start] + random.choice(ODD) + data[end:]


def _lines(data: bytes, random: Random) -> bytes:
    """Two lines swapped."""
    lines = data.split(b"\n")
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


_WAYS = (_flip, _replace, _insert, _delete, _repeat, _word, _word, _lines)


def mutated_facts(facts: dict[str, Any], random: Random) -> dict[str, Any]:
    """JSON in which one to three values are others, or are missing."""
    facts = json.loads(json.dumps(facts))
    for _ in range(random.choice([1, 1, 2, 3])):
        holder: Any = facts
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = random.choice(keys)
            if isinstance(holder[key], dict | list) and holder[key] and random.random() < 0.8:
                holder = holder[key]
                continue
            if random.random() < 0.15:
                del holder[key]
            else:
                holder[key] = deepcopy(random.choice(VALUES))
            break
    return facts


# --- running commands on them ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reader:
    """A command that reads a file.

    Args:
        words: the command line; `{file}` is the file.
        samples: good files of the kind.
        name: of the file.
        make: from a good file to a bad one; None to read the good ones, which must be read.
    """

    words: tuple[str, ...]
    samples: tuple[Path, ...]
    name: str = "file"
    make: Callable[[bytes, Random], bytes] | None = mutated


def hammer(reader: Reader, seed: int, number: int, folder: Path) -> None:
    """Let a reader read so many bad files; what is wrong is written to `folder`/wrong, the case under way to `case`."""
    import click
    import torch

    from rnntool.cli import report
    from rnntool.cli.main import _run
    from rnntool.errors import RnntoolError

    torch.set_num_threads(1)
    os.chdir(folder)
    null = open(os.devnull, "w")  # noqa: SIM115
    sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO()), null, null
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, _too_long)
    samples = [path.read_bytes() for path in reader.samples]
    path = folder / reader.name
    for case in range(number):
        random = Random(f"{seed} {case}")
        data = samples[case % len(samples)] if reader.make is None else reader.make(random.choice(samples), random)
        path.write_bytes(data)
        (folder / "case").write_text(str(case))
        report.manner = report.Manner()
        resource.setrlimit(resource.RLIMIT_DATA, (_data_size() + MEMORY, -1))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            _run([word.format(file=path) for word in reader.words])
        except BaseException as error:
            if isinstance(error, RnntoolError | click.ClickException) and reader.make is not None:
                continue
            resource.setrlimit(resource.RLIMIT_DATA, (-1, -1))
            kept = folder / f"failed-{case}"
            kept.write_bytes(data)
            (folder / "wrong").write_text(f"case {case}, kept as {kept}\n{traceback.format_exc(limit=-12)}")
            os._exit(1)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    os._exit(0)


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def _data_size() -> int:
    """Bytes of memory that the limit counts."""
    (size,) = re.findall(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(size) << 10


def signed(data: bytes, random: Random) -> bytes:
    """A bad model or state made of a good one: its hash is right, for an enemy can compute it."""
    from rnntool.checkpoint.container import read_container, write_container

    kind = "state" if b'\\"kind\\":\\"state\\"' in data[:100_000] else "model"
    facts, tensors = read_container("sample", kind, data)
    for name in ("format", "kind", "sha256", "version"):
        facts.pop(name)
    facts, tensors = changed(facts, tensors, random)
    write_container("signed", kind, facts, tensors)
    return Path("signed").read_bytes()


def other_tensors(tensors: dict[str, Any], random: Random) -> dict[str, Any]:
    """Tensors of which one is missing, too many, or of another shape, kind or content."""
    import torch

    tensors = dict(tensors)
    name = random.choice(sorted(tensors))
    tensor = tensors[name]
    match random.randrange(8):
        case 0:
            del tensors[name]
        case 1:
            tensors[name + "x"] = tensor
        case 2:
            tensors[name] = tensor.reshape(-1)
        case 3:
            tensors[name] = torch.zeros(random.choice([0, 1, 3]), *tensor.shape[1:])
        case 4:
            tensors[name] = tensor.to(random.choice([torch.float64, torch.int64, torch.bfloat16, torch.bool]))
        case 5:
            tensors[name] = torch.full_like(tensor, float("nan") if tensor.is_floating_point() else 255)
        case 6:
            tensors[f"weights.{random.choice(ODD)[:20].decode(errors='replace')}"] = tensor
        case _:
            words = next(key for key in sorted(tensors) if key.startswith("vocab") or key == name)
            data = mutated(tensors[words].numpy().tobytes(), random)
            tensors[words] = torch.frombuffer(bytearray(data or b"x"), dtype=torch.uint8)
    return tensors


def changed(facts: dict[str, Any], tensors: dict[str, Any], random: Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Facts or tensors that are not those that belong together; the vocabulary's own hash is right, too."""
    if random.random() < 0.6:
        facts = mutated_facts(facts, random)
    else:
        tensors = other_tensors(tensors, random)
        if "vocabulary" in tensors and "vocabulary" in facts:
            from rnntool.errors import RnntoolError
            from rnntool.text.vocabulary import Vocabulary

            try:
                data = tensors["vocabulary"].to("cpu").numpy().tobytes()
                facts = {**facts, "vocabulary": Vocabulary.from_bytes(data, "v").digest}
            except (RnntoolError, TypeError):
                pass
    return facts, tensors
