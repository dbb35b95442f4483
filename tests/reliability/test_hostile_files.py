"""Files made by an enemy: every reader takes them for what they are, says so in one message, or refuses them.

No exception but ours, no signal, no more than some memory and time; a C++ library that crashed would be seen, for files are
read in a process of their own.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.reliability.conftest import trials
from tests.reliability.hostile import Reader, hammer, signed

FILES = 60
"""Of each reader."""

READERS = {
    "model": Reader(("check", "{file}"), (Path("run/best.rnn"), Path("ende/best.rnn"))),
    "model with a right hash": Reader(("ppl", "-m", "{file}", "text"), (Path("run/best.rnn"),), make=signed),
    "translating model with a right hash": Reader(
        ("translate", "-m", "{file}", "--beam", "2", "text"), (Path("ende/best.rnn"),), make=signed
    ),
    "information": Reader(("info", "{file}"), (Path("ende/best.rnn"),), make=signed),
    "vocabulary": Reader(
        ("encode", "-V", "{file}", "text"),
        tuple(map(Path, ("words.tsv", "chars.tsv", "bytes.tsv", "some.tsv", "list", "dict.txt", "words.txt", "srilm.cls"))),
    ),
    "SentencePiece": Reader(("encode", "-V", "{file}", "text"), (Path("joint.spm"),)),
    "SentencePiece, ids": Reader(("decode", "-V", "{file}", "--ids", "ids"), (Path("joint.spm"),)),
    "ARPA": Reader(("ppl", "-m", "{file}", "text"), (Path("trigram.arpa"),)),
    "ARPA, compressed": Reader(("check", "{file}"), (Path("trigram.arpa.gz"),)),
    "text": Reader(("encode", "-V", "words.tsv", "{file}"), tuple(map(Path, ("text", "text.gz", "text.xz", "text.bz2")))),
    "settings": Reader(("train", "--config", "{file}", "--dry-run", "-o", "new"), (Path("settings.toml"),)),
    "token scores": Reader(
        ("mix", "{file}", "{file}"), tuple(map(Path, ("scores.tsv", "scores.json", "srilm.scores")))
    ),
    "metrics": Reader(("plot", "{file}"), (Path("run/metrics.jsonl"),)),
    "attention": Reader(("plot", "--attention", "{file}"), (Path("attention.json"),)),
    "weights": Reader(("rerank", "-w", "{file}", "moses"), (Path("weights"),)),
    "n-best, moses": Reader(("rerank", "{file}"), (Path("moses"),)),
    "n-best, SRILM": Reader(("rerank", "--format", "srilm", "{file}"), (Path("srilm"), Path("srilm-bytelog"))),
    "n-best, rnnlm": Reader(
        ("rerank", "--format", "rnnlm", "--scores", "LM:scores", "-w", "LM:1", "{file}"), (Path("rnnlm"),)
    ),
    "n-best, Kaldi": Reader(
        ("rerank", "--format", "kaldi", "--scores", "LM:scores", "-w", "LM:1", "{file}"), (Path("kaldi"),)
    ),
    "scores": Reader(("rerank", "--format", "rnnlm", "--scores", "LM:{file}", "-w", "LM:1", "rnnlm"), (Path("scores"),)),
    "lexicon": Reader(("translate", "-m", "ende", "--beam", "1", "--unk", "{file}", "word"), (Path("lexicon"),)),
}  # fmt: skip


@pytest.fixture(scope="session")
def samples(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good file of every kind."""
    folder = tmp_path_factory.mktemp("samples")
    shutil.copytree(toys, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture
def here(samples: Path, run: Run) -> Path:
    """The samples; those that commands write are written once."""
    if (samples / "weights").exists():
        return samples

    def made(name: str, *words: str) -> None:
        done = run(*words, cwd=samples)
        assert done.status == 0, done
        (samples / name).write_text(done.out)

    text = "the old king sees it\n\na rose ☃\n"
    (samples / "text").write_text(text)
    (samples / "word").write_text("rose\n")
    for suffix, module in (("gz", gzip), ("xz", lzma), ("bz2", bz2)):
        (samples / f"text.{suffix}").write_bytes(module.compress(text.encode()))
    (samples / "trigram.arpa").write_bytes(gzip.decompress((samples / "trigram.arpa.gz").read_bytes()))
    made("bytes.tsv", "vocab", "-u", "byte", "text")
    made("some.tsv", "vocab", "--classes", "3", "train.txt")
    (samples / "list").write_text("the\na\nrose\nking\n")
    (samples / "dict.txt").write_text("the 9\na 3\nrose 1\n")
    (samples / "words.txt").write_text("<eps> 0\nthe 1\na 2\nrose 3\n#0 4\n")
    (samples / "srilm.cls").write_text("A 0.5 the\nA 0.5 a\nB 1 rose\n")
    made("ids", "encode", "-V", "joint.spm", "--ids", "text")
    (samples / "settings.toml").write_text(
        'vocab = "words.tsv"\nvalid = ["valid.txt"]\narch = "lstm:8"\nlr = 0.5\nbatch-size = 4\ntied = true\n'
        'schedule = "cosine"\ntext = ["test.txt"]\n'
    )
    made("scores.tsv", "score", "--tokens", "-m", "run", "text")
    made("scores.json", "score", "--tokens", "--json", "-m", "trigram.arpa.gz", "text")
    (samples / "srilm.scores").write_text(
        "the old\n\tp( the | <s> ) \t= [2gram] 0.031 [ -1.506 ]\n\tp( <unk> | the ...) \t= [OOV] 0 [ -inf ]\n"
        "\tp( </s> | old ...) \t= [1gram] 0.1 [ -1 ]\n1 sentences, 2 words, 1 OOVs\n0 zeroprobs, logprob= -2.5 ppl= 1\n"
    )
    made("attention.json", "translate", "-m", "ende", "--beam", "1", "--json", "--alignment", "soft", "text")
    (samples / "lexicon").write_text("rose\tRose\t0.5\nking\tKönig\n")
    (samples / "moses").write_text("".join((samples / "valid.nbest").read_text().splitlines(keepends=True)[:12]))
    (samples / "srilm").write_text("-10.5 -3.25 2 the king\n-11 -2.5 2 a king\n")
    (samples / "srilm-bytelog").write_text("NBestList1.0\n(-101) the king\n(-120) a king\n")
    (samples / "rnnlm").write_text("1 the king\n1 a king\n2 a rose\n")
    (samples / "kaldi").write_text("utt-a-1 the king\nutt-a-2 a king\nutt-b-1 a rose\n")
    (samples / "scores").write_text("-1.5\n-2\n-3\n")
    (samples / "weights").write_text("F0= 0.5\nLM= 0.25\n")
    return samples


@pytest.mark.parametrize("name", READERS)
def test_a_bad_file_is_refused_or_read_as_what_it_is(
    name: str, here: Path, server: ForkServerContext, tmp_path: Path
) -> None:
    reader = READERS[name]
    for each in here.iterdir():
        (tmp_path / each.name).symlink_to(each)
    samples = tuple(here / path for path in reader.samples)
    good = Reader(reader.words, samples, make=None)
    bad = Reader(reader.words, samples, make=reader.make)
    for each, number in ((good, 2 * len(samples)), (bad, trials(FILES))):
        process = server.Process(target=hammer, args=(each, 1, number, tmp_path))
        process.start()
        process.join()
        wrong = tmp_path / "wrong"
        assert not wrong.exists(), wrong.read_text()
        assert process.exitcode == 0, f"case {(tmp_path / 'case').read_text()}: ended by signal {-process.exitcode}"
