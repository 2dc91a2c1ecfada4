"""Finding and loading checkpoints: what is wrong with a folder is said in one sentence, and nothing half-loads."""

import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.engine.checkpoints import (
    HUB_3B,
    CheckpointFiles,
    describe_checkpoint,
    find_checkpoint,
    is_hub_id,
    load_checkpoint,
    loading,
    shown_name,
)
from studio.engine.compat import CODEC_FOLDER
from studio.engine.model.sampling import Sampling
from studio.engine.voice_engine import VoiceEngine
from tests.refusals import refusal

WEIGHTS, CODEC = "model.safetensors", "audio_tokenizer"


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return shutil.copytree(tiny_checkpoint, tmp_path / "my voice")


def edit_config(path: Path, **changes: Any) -> None:
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | changes))


# --- finding --------------------------------------------------------------------------------------------------------


def test_a_complete_folder_is_found(tiny_checkpoint: Path) -> None:
    files = find_checkpoint(f" {tiny_checkpoint} ")
    assert files.folder == tiny_checkpoint
    assert files.codec_folder == tiny_checkpoint / CODEC
    sizes = [path.stat().st_size for path in tiny_checkpoint.rglob("*.safetensors")]
    assert files.size_bytes == sum(sizes) > 0


def test_random_weights_are_known_not_to_speak(folder: Path) -> None:
    assert (find_checkpoint(str(folder)).kind, find_checkpoint(str(folder)).speaks) == ("tiny", False)
    marker = folder / "studio_checkpoint.json"
    for content in ("not json", "[]", '{"kind": "unheard of"}'):
        marker.write_text(content)
        assert find_checkpoint(str(folder)).kind == "native"
    marker.unlink()
    assert (find_checkpoint(str(folder)).kind, find_checkpoint(str(folder)).speaks) == ("native", True)


def test_a_home_relative_path_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    assert find_checkpoint("~/my voice").folder == folder


def _shards(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    names = sorted(tensors)
    parts = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    for number, part in enumerate(parts):
        save_file({name: tensors[name] for name in names[number::3]}, folder / part, metadata={"format": "pt"})
    placed = {name: parts[number % 3] for number, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    (folder / WEIGHTS).unlink()


def _missing_shard(folder: Path) -> None:
    _shards(folder)
    (folder / "model-00002-of-00003.safetensors").unlink()


def _shard_outside(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../elsewhere.safetensors"}}')


def _no_codec(folder: Path) -> None:
    shutil.rmtree(folder / CODEC)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (shutil.rmtree, "does not exist; give a folder that holds config.json, or a hub id such as bosonai/"),
        (lambda f: (shutil.rmtree(f), f.write_text("x")), "this checkpoint folder is a file"),
        (lambda f: (f / "config.json").unlink(), "holds no config.json"),
        (lambda f: (f / "config.json").write_text("{oops"), "config.json of .* cannot be read"),
        (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), "config.json of .* cannot be read"),
        (lambda f: (f / "config.json").write_text("[1]"), "is not a configuration"),
        (lambda f: edit_config(f, model_type="llama"), r"is a 'llama' checkpoint, .*Higgs Audio v2"),
        (lambda f: edit_config(f, model_type=None), "checkpoint, but the studio speaks Higgs Audio v2"),
        (lambda f: edit_config(f, model_type="higgs_audio"), "python -m studio checkpoint convert"),
        (lambda f: (f / WEIGHTS).unlink(), "is incomplete: model.safetensors is missing"),
        (_missing_shard, r"model-00002-of-00003.safetensors is missing \(2 of 3 weight files are there\)"),
        (_shard_outside, "is incomplete"),
        (lambda f: (f / "model.safetensors.index.json").write_text("{"), "model.safetensors.index.json cannot be read"),
        (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json is missing"),
        (_no_codec, f"has no codec: put the files of .* into its subfolder {CODEC}"),
        (lambda f: edit_config(f / CODEC, model_type="dac"), "codec of .* is a 'dac' model"),
        (lambda f: (f / CODEC / "config.json").unlink(), "The codec of .* holds no config.json"),
        (lambda f: (f / CODEC / WEIGHTS).unlink(), "The codec of .* is incomplete: model.safetensors is missing"),
    ],
    ids=[
        "missing", "a file", "no config", "broken config", "binary config", "list as config", "llama", "no type",
        "boson format", "no weights", "missing shard", "shard outside", "broken index", "no tokenizer", "no codec",
        "other codec", "codec without config", "codec without weights",
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_folder_is_said(folder: Path, spoil: Callable[[Path], Any], says: str) -> None:
    spoil(folder)
    sentence = refusal(lambda: find_checkpoint(str(folder)))
    assert "my voice" in sentence
    assert str(folder.parent) not in sentence, "a page's visitor must not see the server's folders"
    assert re.search(says, sentence), sentence


@pytest.mark.parametrize(
    "name",
    [
        "foo--bar/x",
        "foo/x.git",
        "foo/" + "x" * 97,
        "~nosuchuser/x",
        "n" * 300,
        "/tmp/" + "n" * 300,
        "a\0b",
        "a/b\0",
        "",
    ],
    ids=["two dashes", "git", "long model", "home of nobody", "long", "long path", "NUL", "NUL in a hub id", "empty"],
)
def test_what_cannot_be_a_name_is_said(name: str) -> None:
    sentence = refusal(lambda: find_checkpoint(name))
    assert ": this is neither a folder nor a hub id of the form owner/model" in sentence
    assert len(sentence) < 350
    assert sentence.isprintable()


@pytest.mark.parametrize("content", ['{"weight_map": {"a": 1, "b": "x"}}', '{"weight_map": []}', "[]"])
def test_a_nonsensical_index_is_said(folder: Path, content: str) -> None:
    (folder / "model.safetensors.index.json").write_text(content)
    assert "index.json cannot be read" in refusal(lambda: find_checkpoint(str(folder)))


def test_visitors_see_hub_ids_whole_and_of_folders_the_last_part(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_checkpoint(str(folder)).name == str(folder)
    assert find_checkpoint(str(folder)).shown_name == "my voice"
    assert shown_name("anna/voice") == "anna/voice"
    assert shown_name("/srv/secret/voice/") == "voice"
    monkeypatch.chdir(folder.parent)
    (folder.parent / "anna").mkdir()
    (folder.parent / "anna" / "voice").mkdir()
    assert shown_name("anna/voice") == "voice"


def test_pickled_weights_are_never_taken(folder: Path) -> None:
    torch.save({}, folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()
    assert "model.safetensors is missing" in refusal(lambda: find_checkpoint(str(folder)))


def test_sharded_weights_are_one_checkpoint(folder: Path, engine: Any) -> None:
    _shards(folder)
    sharded = VoiceEngine(load_checkpoint(find_checkpoint(str(folder)), device="cpu"))
    assert np.array_equal(sharded.clone("Hi.", seed=1).codes, engine.clone("Hi.", seed=1).codes)


def test_a_codec_elsewhere_is_found_through_the_processors_config(folder: Path, tmp_path: Path) -> None:
    (folder / CODEC).rename(tmp_path / "codec")
    config = json.loads((folder / "processor_config.json").read_text())
    config["audio_tokenizer"]["audio_tokenizer_name_or_path"] = str(tmp_path / "codec")
    (folder / "processor_config.json").write_text(json.dumps(config))
    assert find_checkpoint(str(folder)).codec_folder == tmp_path / "codec"


@pytest.mark.parametrize("named", ["../codec", "speech/codec"])
def test_a_codecs_relative_path_is_meant_from_the_checkpoint(
    folder: Path, named: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (folder / "speech").mkdir()
    (folder / CODEC).rename(folder / named)
    (tmp_path / "elsewhere" / "speech" / "codec").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    config = json.loads((folder / "processor_config.json").read_text())
    config["audio_tokenizer"]["audio_tokenizer_name_or_path"] = named
    (folder / "processor_config.json").write_text(json.dumps(config))
    assert find_checkpoint(str(folder)).codec_folder.samefile(folder / named)


# --- hub ids --------------------------------------------------------------------------------------------------------


def test_hub_ids_and_folders_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_id(HUB_3B)
    for name in ("foo--bar/x", "a/b.", "a/b\0", "/abs/path", "./a/b", "a/b/c", "alone", "~/models", "a b/c", "../a"):
        assert not is_hub_id(name)
    (tmp_path / "owner" / "model").mkdir(parents=True)
    assert not is_hub_id("owner/model")


def offline(tmp_path: Path, **environment: str) -> dict[str, str]:
    """An environment whose hub is a port of this machine where nobody listens."""
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    inherited = {k: v for k, v in os.environ.items() if k.lower() not in proxies and not k.startswith("HF_")}
    return inherited | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hub")} | environment


@pytest.mark.parametrize(
    "environment", [{}, {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}],
    ids=["no network", "dead proxy", "offline by choice"],
)  # fmt: skip
def test_an_unreachable_hub_is_said_within_seconds(tmp_path: Path, environment: dict[str, str]) -> None:
    started = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-m", "studio", "checkpoint", "info", HUB_3B],
        env=offline(tmp_path, **environment), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert time.monotonic() - started < 10
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"The model hub cannot be reached and {HUB_3B} is not on this machine yet: ")
    assert result.stderr.count("\n") == 1


def test_a_hub_checkpoint_that_was_downloaded_before_needs_no_network(tiny_checkpoint: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "hub" / "models--anna--voice"
    shutil.copytree(tiny_checkpoint, repository / "snapshots" / "0123abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abc")
    script = (
        "from studio.engine.checkpoints.finding import find_checkpoint; print(find_checkpoint('anna/voice').folder)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], env=offline(tmp_path), capture_output=True, text=True, timeout=60
    )
    assert result.stderr == ""
    assert result.stdout.strip() == str(repository / "snapshots" / "0123abc")


class Hub:
    """A hub on this machine that serves one model and notes what it was asked for.

    Attributes:
        status: if not 200, the answer to every question; ``error`` goes with it as the hub's own code.
        files: content by path.
        sizes: bytes it claims for a file, where they are not those of its content.
    """

    def __init__(self) -> None:
        self.status, self.error = 200, ""
        self.files: dict[str, bytes] = {}
        self.sizes: dict[str, int] = {}
        self.fetched: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(*hub.answer(self.path, self.command))

            do_HEAD = do_GET

            def answer(self, status: int, content: bytes, error: str = "") -> None:
                self.send_response(status)
                headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
                if error:
                    headers["X-Error-Code"] = error
                for name, value in (headers | {"Content-Length": str(len(content))}).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str, command: str) -> tuple[int, bytes, str]:
        if self.status != 200:
            return self.status, b"{}", self.error
        listed = [
            {
                "rfilename": name,
                "path": name,
                "type": "file",
                "oid": "0" * 40,
                "size": self.sizes.get(name, len(content)),
            }
            for name, content in self.files.items()
        ]
        if path.startswith("/api/models/anna/voice/tree/"):
            return 200, json.dumps(listed).encode(), ""
        if path.startswith("/api/models/anna/voice"):
            return 200, json.dumps({"id": "anna/voice", "sha": COMMIT, "siblings": listed}).encode(), ""
        name = re.sub(r"^/anna/voice/resolve/[^/]+/", "", path)
        if name not in self.files:
            return 404, b"", "EntryNotFound"
        if command == "GET":
            self.fetched.append(name)
        return 200, self.files[name], ""

    def find(self, tmp_path: Path, before: str = "", **environment: str) -> str:
        """What ``find_checkpoint`` says or gives in a process of its own that knows no other hub."""
        script = (
            f"{before}\nfrom studio.engine.checkpoints.finding import find_checkpoint\n"
            "from studio.errors import StudioError\n"
            "try:\n    print(find_checkpoint('anna/voice').folder)\nexcept StudioError as error:\n    print(error)"
        )
        result = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=60,
            env=offline(tmp_path, HF_ENDPOINT=self.url, HF_HUB_DISABLE_PROGRESS_BARS="1") | environment,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()


COMMIT = "1234567890abcdef1234567890abcdef12345678"


@pytest.fixture
def hub(tiny_checkpoint: Path) -> Iterator[Hub]:
    hub = Hub()
    files = [path for path in tiny_checkpoint.rglob("*") if path.is_file()]
    hub.files = {path.relative_to(tiny_checkpoint).as_posix(): path.read_bytes() for path in files}
    thread = threading.Thread(target=hub.server.serve_forever, daemon=True)
    thread.start()
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


def test_of_a_hub_repository_the_checkpoint_is_fetched_and_no_more(hub: Hub, tmp_path: Path) -> None:
    wanted = set(hub.files)
    hub.files |= dict.fromkeys(["onnx/x.safetensors", "onnx/config.json", "pytorch_model.bin", "README.md"], b"{}")
    hub.files |= dict.fromkeys(["model-int8/model.safetensors", f"{CODEC}/onnx/x.safetensors"], b"{}")
    folder = Path(hub.find(tmp_path))
    assert folder.name == COMMIT
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == wanted
    assert hub.fetched[0] == "config.json", "looked at before anything large is fetched"
    # Once it is here, a hub that is busy or that nobody can reach takes nothing away.
    hub.status = 503
    assert Path(hub.find(tmp_path)) == folder
    assert Path(hub.find(tmp_path, HF_ENDPOINT="http://127.0.0.1:9")) == folder


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"model_type": "llama"}', "anna/voice is a 'llama' checkpoint"),
        (b'{"model_type": "higgs_audio"}', "anna/voice is in the original boson format"),
        (None, "anna/voice holds no config.json on the hub"),
    ],
)
def test_a_repository_of_something_else_is_not_downloaded(
    hub: Hub, tmp_path: Path, content: bytes | None, says: str
) -> None:
    del hub.files["config.json"]
    hub.files |= {"config.json": content} if content else {}
    assert hub.find(tmp_path).startswith(says)
    assert set(hub.fetched) <= {"config.json"}


def test_a_codec_of_something_else_is_not_downloaded(hub: Hub, tmp_path: Path, folder: Path) -> None:
    hub.files["config.json"] = b'{"model_type": "dac"}'
    shutil.rmtree(folder / CODEC)
    config = json.loads((folder / "processor_config.json").read_text())
    config["audio_tokenizer"]["audio_tokenizer_name_or_path"] = "anna/voice"
    (folder / "processor_config.json").write_text(json.dumps(config))
    result = subprocess.run(
        [sys.executable, "-m", "studio", "checkpoint", "info", folder],
        env=offline(tmp_path, HF_ENDPOINT=hub.url), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.stderr.startswith("The codec of my voice is a 'dac' model")
    assert hub.fetched == ["config.json"]


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (401, "RepoNotFound", "The hub has no model anna/voice, or it is private: "),
        (404, "RepoNotFound", "The hub has no model anna/voice, or it is private: "),
        (403, "GatedRepo", "anna/voice asks for its licence to be accepted: "),
        (403, "", "The hub forbids the download of anna/voice (status 403): "),
        (429, "", "The hub answered with status 429 when asked for anna/voice: try again later."),
        (503, "", "The hub answered with status 503 when asked for anna/voice: try again later."),
    ],
)
def test_why_the_hub_does_not_give_a_model_is_said(
    hub: Hub, tmp_path: Path, status: int, error: str, says: str
) -> None:
    hub.status, hub.error = status, error
    started = time.monotonic()
    assert hub.find(tmp_path).startswith(says)
    assert time.monotonic() - started < 10


def test_a_model_larger_than_the_disk_is_refused_before_it_is_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.sizes[WEIGHTS] = 10**18
    sentence = hub.find(tmp_path)
    assert sentence.startswith("anna/voice needs 1000000000.0 GB on the disk of the hub's cache, where ")
    assert str(tmp_path) not in sentence
    assert hub.fetched == ["config.json"]


def test_a_disk_that_fills_up_during_a_download_is_said(hub: Hub, tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))"
    sentence = hub.find(tmp_path, before=limit)
    assert re.fullmatch(r"The disk is full, so anna/voice could not be downloaded \(it needs 0.0 GB\): .*\.", sentence)


# --- describing -----------------------------------------------------------------------------------------------------


def test_facts_come_from_the_files(tiny_checkpoint: Path) -> None:
    facts = describe_checkpoint(find_checkpoint(str(tiny_checkpoint)))
    assert facts["num_codebooks"] == 8
    assert facts["codebook_size"] == 1026
    assert (facts["sample_rate"], facts["frame_rate"]) == (24_000, 25.0)
    assert (facts["layers"], facts["hidden_size"], facts["precision"]) == (2, 64, "float32")
    assert (facts["kind"], facts["speaks"]) == ("tiny", False)
    json.dumps(facts)


# --- loading --------------------------------------------------------------------------------------------------------


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _drop(path: Path, name: str) -> None:
    tensors = load_file(path)
    del tensors[name]
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: _truncate(f / WEIGHTS), "weights are damaged or do not fit its config"),
        (lambda f: (f / WEIGHTS).write_bytes(b"not weights" * 100), "weights are damaged"),
        (lambda f: (f / WEIGHTS).write_bytes(b""), "weights are damaged"),
        (lambda f: _truncate(f / CODEC / WEIGHTS), "weights are damaged"),
        (lambda f: edit_config(f, hidden_size=32), "weights are damaged or do not fit its config"),
        (lambda f: _drop(f / WEIGHTS, "model.norm.weight"), "lacks 1 weights, among them model.norm.weight"),
        (lambda f: _drop(f / CODEC / WEIGHTS, "fc2.weight"), "lacks 1 weights, among them fc2.weight"),
        (lambda f: (f / "tokenizer.json").write_text("{oops"), "download or copy it again"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "download or copy it again"),
        (shutil.rmtree, "is gone"),
        (lambda f: (f / CODEC / WEIGHTS).unlink(), "download or copy it again|is gone or incomplete"),
    ],
    ids=[
        "truncated", "not weights", "empty", "truncated codec", "other sizes", "weight missing", "codec weight missing",
        "broken tokenizer", "empty tokenizer", "folder deleted", "codec deleted",
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_said(folder: Path, spoil: Callable[[Path], Any], says: str) -> None:
    files = find_checkpoint(str(folder))
    spoil(folder)
    sentence = refusal(lambda: load_checkpoint(files, device="cpu"))
    assert re.search(says, sentence), sentence


def test_a_checkpoint_larger_than_the_memory_is_refused_before_it_is_read(folder: Path) -> None:
    with (folder / WEIGHTS).open("r+b") as file:
        file.truncate(2**42)  # 4 TiB of nothing: a sparse file takes no room
    sentence = refusal(lambda: load_checkpoint(find_checkpoint(str(folder)), device="cpu"))
    assert "needs about 4301 GiB of memory on cpu" in sentence


def test_old_folders_without_a_feature_extractor_load(folder: Path, engine: Any, references: Any) -> None:
    (folder / "processor_config.json").unlink()
    (folder / "chat_template.jinja").unlink()
    old = VoiceEngine(load_checkpoint(find_checkpoint(str(folder)), device="cpu"))
    expected = engine.clone("Hi.", references[:1], seed=1)
    assert np.array_equal(old.clone("Hi.", references[:1], seed=1).codes, expected.codes)


def test_a_folder_deleted_while_its_engine_runs_does_not_silence_it(folder: Path, engine: Any, references: Any) -> None:
    running = VoiceEngine(load_checkpoint(find_checkpoint(str(folder)), device="cpu"))
    shutil.rmtree(folder)
    expected = engine.clone("Still here.", references[:1], seed=1)
    assert np.array_equal(running.clone("Still here.", references[:1], seed=1).codes, expected.codes)
    assert (
        np.abs(running.clone("Hi.", seed=2).waveform.samples - engine.clone("Hi.", seed=2).waveform.samples).max()
        < 1e-6
    )


@pytest.mark.parametrize(("precision", "dtype"), [("auto", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_model_speaks_in_the_wanted_precision(tiny_checkpoint: Path, precision: Any, dtype: torch.dtype) -> None:
    checkpoint = load_checkpoint(find_checkpoint(str(tiny_checkpoint)), device="cpu", precision=precision)
    assert checkpoint.model.dtype == dtype
    assert checkpoint.codec_model.dtype == torch.float32
    assert checkpoint.precision == str(dtype).removeprefix("torch.")
    speech = VoiceEngine(checkpoint).clone("Hello.", sampling=Sampling(temperature=1.0), seed=1)
    assert speech.num_frames > 0


def test_a_checkpoint_in_half_precision_keeps_it_unless_it_is_small_and_on_a_cpu(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for weights, kept in ((folder / WEIGHTS, torch.bfloat16), (folder / CODEC_FOLDER / WEIGHTS, torch.float16)):
        tensors = {
            name: tensor.to(kept) if tensor.is_floating_point() else tensor
            for name, tensor in load_file(weights).items()
        }
        save_file(tensors, weights, metadata={"format": "pt"})
        edit_config(weights.parent, dtype=str(kept).removeprefix("torch."))
    files = find_checkpoint(str(folder))
    small = load_checkpoint(files, device="cpu")
    assert (small.precision, small.model.dtype, small.codec_model.dtype) == ("float32", torch.float32, torch.float32)
    assert load_checkpoint(files, device="cpu", precision="bfloat16").precision == "bfloat16"
    monkeypatch.setattr(loading, "SMALL_BYTES", 0)
    assert load_checkpoint(files, device="cpu").precision == "bfloat16"


def _too_large() -> None:
    torch.empty(2**56)  # what torch itself says when there is no room


def _mapped_too_much() -> None:
    raise OSError(errno.ENOMEM, "Cannot allocate memory")


def _mps_full() -> None:
    raise RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB, max allowed: 9.07 GB). Tried to allocate …")


@pytest.mark.parametrize("fails", [_too_large, _mapped_too_much, _mps_full])
def test_too_little_memory_is_not_taken_for_damage(
    tiny_checkpoint: Path, fails: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    model_class = transformers.HiggsAudioV2ForConditionalGeneration
    monkeypatch.setattr(model_class, "from_pretrained", lambda *_, **__: fails())
    sentence = refusal(lambda: load_checkpoint(find_checkpoint(str(tiny_checkpoint)), device="cpu"))
    assert sentence.startswith("There is not enough memory on cpu for tiny: ")


def test_a_defect_of_ours_is_not_taken_for_damage(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    model_class = transformers.HiggsAudioV2ForConditionalGeneration
    monkeypatch.setattr(model_class, "from_pretrained", lambda *_, **__: [][0])
    with pytest.raises(IndexError):
        load_checkpoint(find_checkpoint(str(tiny_checkpoint)), device="cpu")


def test_straight_onto_a_device_the_same_weights_arrive(tiny_checkpoint: Path) -> None:
    """What a GPU's ``device_map`` does to both models, tried on the CPU: all weights, none lacking, none left on meta."""
    from transformers import HiggsAudioV2ForConditionalGeneration, HiggsAudioV2TokenizerModel

    for model_class, folder in (
        (HiggsAudioV2ForConditionalGeneration, tiny_checkpoint),
        (HiggsAudioV2TokenizerModel, tiny_checkpoint / CODEC),
    ):
        placed, report = model_class.from_pretrained(folder, device_map={"": "cpu"}, output_loading_info=True)
        expected = model_class.from_pretrained(folder).state_dict()
        assert not report["missing_keys"]
        assert all(torch.equal(tensor, expected.pop(name)) for name, tensor in placed.state_dict().items())
        assert not expected
        assert not any(tensor.is_meta for tensor in [*placed.parameters(), *placed.buffers()])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
def test_on_a_gpu_everything_lies_on_it_and_speaks(tiny_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(find_checkpoint(str(tiny_checkpoint)), device="cuda")
    for model in (checkpoint.model, checkpoint.codec_model):
        assert {tensor.device.type for tensor in [*model.parameters(), *model.buffers()]} == {"cuda"}
    assert VoiceEngine(checkpoint).clone("Hello.", seed=1).num_frames > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_said(tiny_checkpoint: Path) -> None:
    sentence = refusal(lambda: load_checkpoint(find_checkpoint(str(tiny_checkpoint)), device="cuda"))
    assert sentence == "This machine has no usable cuda device: choose auto or cpu."


def test_nothing_of_a_loaded_checkpoint_is_trained_by_accident(tiny_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(find_checkpoint(str(tiny_checkpoint)), device="cpu")
    assert not checkpoint.model.training
    assert not checkpoint.codec_model.training
    assert not any(p.requires_grad for p in [*checkpoint.model.parameters(), *checkpoint.codec_model.parameters()])


def test_the_text_head_is_loaded_on_request(tiny_checkpoint: Path) -> None:
    files: CheckpointFiles = find_checkpoint(str(tiny_checkpoint))
    with_head = load_checkpoint(files, device="cpu", text_head=True)
    without = load_checkpoint(files, device="cpu")
    assert with_head.num_parameters - without.num_parameters == 64 * with_head.model.config.vocab_size
