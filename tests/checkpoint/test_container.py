"""Containers: the same bytes every time, and every kind of damage noticed."""

from __future__ import annotations

import json
import os
import stat
import struct
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from rnntool import __version__
from rnntool.checkpoint import container
from rnntool.checkpoint.container import KEY, read_container, read_facts, write_container
from rnntool.errors import InputError, ModelError, OutputError

FACTS: dict[str, Any] = {
    "step": 3,
    "nll": 0.1,
    "name": "naïve “quotes” \\ \n",
    "list": [1, None, True],
    "deep": {"a": {}},
}


def tensors() -> dict[str, Tensor]:
    return {
        "b": torch.arange(6, dtype=torch.float32).view(2, 3),
        "a": torch.tensor(1.5),
        "bytes": torch.tensor([0, 255], dtype=torch.uint8),
        "none": torch.empty(0, 4),
        "turned": torch.arange(6.0).view(2, 3).T,
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A container on the disk."""
    path = tmp_path / "m.rnn"
    write_container(str(path), "model", FACTS, tensors())
    return path


def refusal(path: Path, kind: str = "model") -> str:
    with pytest.raises(ModelError) as refused:
        read_container(str(path), kind)
    assert refused.value.where == str(path)
    return refused.value.what


def test_what_is_written_is_read(path: Path) -> None:
    facts, found = read_container(str(path), "model")
    assert {name: facts[name] for name in FACTS} == FACTS
    assert (facts["kind"], facts["format"], facts["version"]) == ("model", 1, __version__)
    assert found.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    assert read_facts(str(path)) == facts


def test_the_same_facts_and_tensors_give_the_same_bytes(path: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.rnn"
    write_container(str(again), "model", dict(reversed(FACTS.items())), dict(reversed(tensors().items())))
    assert again.read_bytes() == path.read_bytes()


def test_other_programs_can_read_the_weights(path: Path) -> None:
    """It is a safetensors file: safetensors reads it."""
    assert torch.equal(safetensors.torch.load_file(path)["b"], tensors()["b"])


def test_tensors_that_share_their_memory_are_written_each(tmp_path: Path) -> None:
    whole = torch.arange(4.0)
    write_container(str(tmp_path / "s"), "state", {}, {"whole": whole, "part": whole[1:3], "same": whole})
    _, found = read_container(str(tmp_path / "s"), "state")
    assert found["part"].tolist() == [1, 2]
    found["whole"][0] = 9
    assert found["same"][0] == 0


def test_every_tensor_is_aligned_as_torch_aligns_its_own(path: Path) -> None:
    """Products of tensors that lie elsewhere in a cache line may be summed in another order: a run that is resumed from
    a state would then differ in the last bit from one that was not interrupted."""
    for tensor in read_container(str(path), "model")[1].values():
        assert tensor.data_ptr() % 64 == 0


def test_facts_that_look_like_an_empty_hash_are_no_trouble(tmp_path: Path) -> None:
    """The place of the hash is found by its name, not by its 64 zeros."""
    facts = {"a": "0" * 64, "b": '"sha256":"' + "0" * 64, "c": {"sha256": "0" * 63}}
    write_container(str(tmp_path / "m"), "model", facts, tensors())
    found = read_container(str(tmp_path / "m"), "model")[0]
    assert {name: found[name] for name in facts} == facts


def test_a_flip_of_any_bit_is_noticed(path: Path) -> None:
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        refusal(path)


def test_a_file_cut_off_anywhere_or_grown_is_noticed(path: Path) -> None:
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        refusal(path)
    for more in (b"\0", b" ", data):
        path.write_bytes(data + more)
        assert refusal(path).startswith("damaged: ")


def test_two_files_with_their_ends_swapped_are_noticed(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_container(str(other), "model", FACTS | {"step": 4}, tensors() | {"a": torch.tensor(2.5)})
    one, two = path.read_bytes(), other.read_bytes()
    assert len(one) == len(two)
    path.write_bytes(one[:-60] + two[-60:])
    assert refusal(path) == "damaged: its content does not have the hash that it names"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"the cat sat on the mat\n" * 100,
        b"\x80\x02cposix\nsystem\nX\x05\x00\x00\x00touch\x85R.",  # a pickle that would run a command
        b"PK\x03\x04" + bytes(100),
        b"\x7fELF\x02\x01\x01" + bytes(100),
        b"\x1f\x8b\x08\x00" + bytes(100),
        struct.pack("<Q", 2**63) + b"{" * 100,  # a header longer than any disk
        struct.pack("<Q", container.MAX_HEADER + 1) + b"{" * 100,
        struct.pack("<Q", 100) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 200_000) + b"[" * 200_000,
        struct.pack("<Q", 200_000) + b'{"a":' * 40_000,
        safetensors.torch.save({"a": torch.ones(2)}),
        safetensors.torch.save({"a": torch.ones(2)}, metadata={"format": "pt"}),
        safetensors.torch.save({"a": torch.ones(2)}, metadata={KEY: "[]"}),
        safetensors.torch.save({"a": torch.ones(2)}, metadata={KEY: "{}"}),
        safetensors.torch.save({"a": torch.ones(2)}, metadata={KEY: '{"format":1,"loss":NaN}'}),
        safetensors.torch.save({"a": torch.ones(2)}, metadata={KEY: '{"format":"1"}'}),
        safetensors.torch.save({"a": torch.ones(2)}, metadata={KEY: '{"format":1}', "more": ""}),
    ],
    ids=lambda data: repr(data[:12]) + str(len(data)),
)
def test_what_is_no_container_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(data)
    assert refusal(path) == "not an rnntool model"
    with pytest.raises(ModelError, match="not an rnntool model"):
        read_facts(str(path))


def test_devices_and_directories_are_refused(tmp_path: Path) -> None:
    assert refusal(Path("/dev/null")) == "not an rnntool model"
    assert refusal(Path("/dev/zero")) == "not an rnntool model"
    assert refusal(tmp_path) == "is a directory, not a model file"


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read_container(str(tmp_path / "m"), "model")
    assert str(refused.value) == f"{tmp_path}/m: No such file or directory"


def test_a_file_of_another_kind_says_which(path: Path) -> None:
    assert refusal(path, "state") == "this is a model file, not a state file"


def rewritten(path: Path, **facts: Any) -> None:
    """Facts changed, the hash left as it was."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    text = json.loads(header["__metadata__"][KEY]) | facts
    path.write_bytes(safetensors.torch.save({"a": torch.ones(2)}, metadata={KEY: json.dumps(text)}))


def test_a_file_of_the_future_names_both_numbers(path: Path) -> None:
    rewritten(path, format=7)
    assert refusal(path) == f"format 7; rnntool {__version__} reads up to 1"


@pytest.mark.parametrize("sha256", [None, 5, "", "0", "g" * 64])
def test_a_file_without_a_hash_is_damaged(sha256: object, path: Path) -> None:
    rewritten(path, sha256=sha256)
    assert refusal(path).startswith("damaged: ")


def test_numbers_that_json_does_not_have_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_container(str(tmp_path / "m"), "model", {"nll": float("nan")}, {})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_a_file_has_the_mode_that_the_umask_leaves(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_container(str(tmp_path / "m"), "model", {}, tensors())
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "m").st_mode) == mode


def test_a_failed_write_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for function in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(os, function, full)
            with pytest.raises(OutputError, match="No space left on device"):
                write_container(str(path), "model", FACTS | {"step": 4}, tensors())
        assert path.read_bytes() == old
        assert os.listdir(path.parent) == [path.name]


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as refused:
        write_container("/dev/full", "model", {}, tensors())
    assert str(refused.value) == "/dev/full: No space left on device"


def test_a_container_is_read_from_a_pipe(path: Path) -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, path.read_bytes())
        os.close(writing)
        facts, _ = read_container(f"/dev/fd/{reading}", "model")
    finally:
        os.close(reading)
    assert facts["step"] == 3
