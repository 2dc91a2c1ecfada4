"""What the launcher makes of a command line: everything filled in that is not given, nothing given overruled."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from swift_plugins.arguments import LORA_GROUPS, Arguments
from swift_plugins.launch import main, training_arguments
from swift_plugins.refused import refuse_unsupported
from swift_plugins.runner import PLUGIN_FILE
from tests.refusals import refusal


def filled(*argv: str) -> Arguments:
    return training_arguments(Arguments(argv))


def options_of(arguments: Arguments) -> dict[str, Any]:
    return json.loads(arguments.value("model_kwargs") or "{}")


# --- reading and writing ------------------------------------------------------------------------------------------------


def test_every_way_to_write_an_argument_means_the_same() -> None:
    spaced = Arguments(["--learning_rate", "1e-4", "--use_dora", "--dataset", "a", "b"])
    others = Arguments(["--learning-rate=1e-4", "--use-dora", "--dataset", "a", "b"])
    assert spaced.argv == others.argv == ["--learning_rate", "1e-4", "--use_dora", "--dataset", "a", "b"]
    assert spaced.values("dataset") == ["a", "b"]
    assert (spaced.value("use_dora"), spaced.has("use_dora"), spaced.has("use_rslora")) == (None, True, False)


def test_values_may_look_like_options_or_hold_signs_that_separate() -> None:
    arguments = Arguments(["--seed", "-1", "--x=a=b", "--weights", "-0.5", "-", "--y=", "--z=--w"])
    assert arguments.values("seed") == ["-1"]
    assert arguments.value("x") == "a=b"
    assert arguments.values("weights") == ["-0.5", "-"]
    assert (arguments.value("y"), arguments.value("z")) == ("", "--w")


def test_of_a_repeated_argument_the_last_counts_as_for_ms_swift() -> None:
    arguments = Arguments(["--dataset", "a", "b", "--seed", "1", "--dataset=c", "--seed", "2"])
    assert (arguments.values("dataset"), arguments.values("seed")) == (["c"], ["2"])


def test_what_stands_before_the_first_name_is_refused() -> None:
    assert "'rows.jsonl' belongs to no argument" in refusal(lambda: Arguments(["rows.jsonl", "--model", "m"]))


def test_a_copy_can_be_changed_by_itself() -> None:
    original = Arguments(["--callbacks", "mine"])
    original.copy().add("callbacks", "other")
    assert original.argv == ["--callbacks", "mine"]


@pytest.mark.parametrize(
    ("argv", "is_set"),
    [
        ([], False),
        (["--merge_lora"], True),
        (["--merge_lora", "true"], True),
        (["--merge_lora", "1"], True),
        (["--merge_lora", "False"], False),
        (["--merge_lora=n"], False),
    ],
)
def test_a_flag_is_read_as_ms_swift_reads_it(argv: list[str], is_set: bool) -> None:
    assert Arguments(argv).flag("merge_lora") is is_set


# --- what is filled in --------------------------------------------------------------------------------------------------


def test_a_bare_command_line_becomes_a_whole_one() -> None:
    arguments = filled("--model", "m")
    assert arguments.values("external_plugins") == [str(PLUGIN_FILE)]
    assert PLUGIN_FILE.is_file()
    wanted = {
        "callbacks": "higgs-audio",
        "model_type": "higgs-audio",
        "template": "higgs-audio-chatml",
        "optimizer": "higgs-audio",
        "strict": "true",
        "lazy_tokenize": "false",
        "group_by_length": "true",
        "check_model": "false",
    }
    assert {name: arguments.value(name) for name in wanted} == wanted
    assert not arguments.has("model_kwargs")


@pytest.mark.parametrize(
    "name",
    [
        "model_type", "template", "optimizer", "use_hf", "check_model", "lazy_tokenize", "group_by_length",
        "dataloader_num_workers", "dataloader_persistent_workers", "logging_nan_inf_filter", "use_cpu", "strict",
    ],
)  # fmt: skip
def test_what_is_given_is_never_overruled(name: str) -> None:
    assert filled(f"--{name.replace('_', '-')}", "mine").values(name) == ["mine"]
    assert filled(f"--{name}").values(name) == []  # "--name" alone, as a flag


def test_plugins_and_callbacks_are_added_to_those_given() -> None:
    arguments = filled("--external_plugins", "mine.py", "--callbacks", "early_stop", "higgs-audio")
    assert arguments.values("external_plugins") == ["mine.py", str(PLUGIN_FILE)]
    assert arguments.values("callbacks") == ["early_stop", "higgs-audio"]


def test_rows_in_a_given_order_are_not_grouped_by_length_unless_asked() -> None:
    assert filled("--train_dataloader_shuffle", "false").value("group_by_length") == "false"
    assert filled("--train_dataloader_shuffle", "false", "--group_by_length", "true").value("group_by_length") == "true"


def test_the_arguments_given_stay_as_they_are() -> None:
    given = Arguments(["--model", "m", "--text_loss_weight", "2"])
    training_arguments(given)
    assert given.argv == ["--model", "m", "--text_loss_weight", "2"]


# --- the plugin's own options -------------------------------------------------------------------------------------------


def test_options_travel_in_model_kwargs_beside_what_is_there() -> None:
    arguments = filled(
        "--model_kwargs", '{"FPS": 2, "text_loss_weight": 0.25, "audio_lr_ratio": 4}', "--text-loss-weight=0.5",
        "--codebook_loss_weights", "2", "1", "1", "--skip_bad_rows", "--code_cache", "my codes",
    )  # fmt: skip
    assert options_of(arguments) == {
        "FPS": 2,
        "text_loss_weight": "0.5",
        "audio_lr_ratio": 4,
        "codebook_loss_weights": "2 1 1",
        "skip_bad_rows": "true",
        "code_cache": "my codes",
    }
    assert not any(arguments.has(name) for name in ("text_loss_weight", "codebook_loss_weights", "skip_bad_rows"))


def test_model_kwargs_may_lie_in_a_file_as_for_ms_swift(tmp_path: Path) -> None:
    file = tmp_path / "kwargs.json"
    file.write_text('{"fps": 2}')
    assert options_of(filled("--model_kwargs", str(file), "--audio_lr_ratio", "3")) == {"fps": 2, "audio_lr_ratio": "3"}


@pytest.mark.parametrize("given", ["{text_loss_weight: 1}", "[1]", "nonsense", "3"])
def test_model_kwargs_that_are_no_object_are_refused(given: str) -> None:
    assert "--model_kwargs takes a JSON object" in refusal(lambda: filled("--model_kwargs", given))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--text_loss_weight", "much"], "text_loss_weight is 'much'"),
        (["--text_loss_weight"], "text_loss_weight is 'true'"),
        (["--audio_lr_ratio", "-1"], "audio_lr_ratio is -1"),
        (["--model_kwargs", '{"audio_loss_weight": "nan"}'], "audio_loss_weight is nan"),
        (["--skip_bad_rows", "maybe"], "skip_bad_rows is 'maybe'"),
        (["--text_loss_weight", "0", "--audio_loss_weight", "0"], "Both loss weights are 0"),
    ],
)
def test_an_option_without_sense_is_refused_before_anything_is_loaded(argv: list[str], words: str) -> None:
    assert words in refusal(lambda: filled(*argv))


@pytest.mark.parametrize("value", ["false", "False", "0", "no", "n", "f"])
def test_not_strict_means_skipped_and_counted_never_replaced(value: str) -> None:
    arguments = filled("--strict", value)
    assert arguments.value("strict") == "true"
    assert options_of(arguments) == {"skip_bad_rows": "true"}


def test_strict_leaves_bad_rows_an_error() -> None:
    for argv in ([], ["--strict"], ["--strict", "true"], ["--strict", "false", "--skip_bad_rows", "false"]):
        assert options_of(filled(*argv)).get("skip_bad_rows", "false") == "false"
        assert filled(*argv).value("strict") != "false"


# --- data sets ----------------------------------------------------------------------------------------------------------


def test_files_of_rows_go_through_the_plugins_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my صفوف"
    folder.mkdir()
    for name in ("a.jsonl", "b.json"):
        (folder / name).write_text("{}")
    arguments = filled(
        "--dataset", f"{folder.name}/a.jsonl", f"{folder}/b.json#20", f"higgs_audio:{folder}/a.jsonl#3",
        "--val_dataset", f"{folder}/a.jsonl",
    )  # fmt: skip
    assert arguments.values("dataset") == [
        f"higgs_audio:{folder}/a.jsonl",
        f"higgs_audio:{folder}/b.json#20",
        f"higgs_audio:{folder}/a.jsonl#3",
    ]
    assert arguments.values("val_dataset") == [f"higgs_audio:{folder}/a.jsonl"]


def test_data_sets_of_ms_swift_are_left_alone() -> None:
    names = ["AI-ModelScope/alpaca-gpt4-data-zh#500", "hf::owner/speech:default", "swift/self-cognition"]
    assert filled("--dataset", *names).values("dataset") == names


@pytest.mark.parametrize("missing", ["nowhere.jsonl", "nowhere.jsonl#5", "nowhere.json", "higgs_audio:nowhere"])
@pytest.mark.parametrize("name", ["dataset", "val_dataset"])
def test_a_missing_file_is_said_before_anything_is_loaded(name: str, missing: str) -> None:
    sentence = refusal(lambda: filled(f"--{name}", missing))
    assert "nowhere" in sentence
    assert "does not exist" in sentence


@pytest.mark.parametrize("folder", ["a:b", "a#b", " a", "b "])
def test_a_path_that_ms_swift_would_take_apart_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    file = tmp_path / folder / "rows.jsonl"
    file.write_text("{}")
    assert "cannot read a path" in refusal(lambda: filled("--dataset", str(file)))


# --- target modules -----------------------------------------------------------------------------------------------------

ATTENTION = {f"self_attn.{name}_proj" for name in "qkvo"}
TEXT_FFN = {f"mlp.{name}_proj" for name in ("gate", "up", "down")}
AUDIO_FFN = {f"audio_mlp.{name}_proj" for name in ("gate", "up", "down")}


def hit(model: Any, arguments: Arguments) -> set[str]:
    """Modules of the model that peft adapts with these arguments, as ms-swift hands them on."""
    from peft import LoraConfig
    from peft.tuners.tuners_utils import check_target_module_exists

    config = LoraConfig(target_modules=arguments.value("target_regex") or arguments.values("target_modules"))
    return {name for name, _ in model.named_modules() if check_target_module_exists(config, name)}


@pytest.mark.parametrize(
    ("targets", "parts"),
    [
        (["text_attention"], ATTENTION),
        (["text_ffn"], TEXT_FFN),
        (["audio_ffn"], AUDIO_FFN),
        (["text_attention", "text_ffn", "audio_ffn"], ATTENTION | TEXT_FFN | AUDIO_FFN),
        (["audio_ffn", "o_proj"], AUDIO_FFN | {"self_attn.o_proj"}),
        (["text_ffn", "self_attn.q_proj", "audio_mlp.up_proj"], TEXT_FFN | {"self_attn.q_proj", "audio_mlp.up_proj"}),
        (["text_attention", "mlp.up_proj"], ATTENTION | {"mlp.up_proj"}),
        (["q_proj"], {"self_attn.q_proj"}),
    ],
)
def test_a_group_hits_its_modules_in_every_layer_and_no_other(
    training_model: Any, targets: list[str], parts: set[str]
) -> None:
    layers = len(training_model.model.layers)
    wanted = {f"model.layers.{layer}.{part}" for layer in range(layers) for part in parts}
    assert hit(training_model, filled("--target_modules", *targets)) == wanted


def test_a_head_can_be_named_beside_a_group(training_model: Any) -> None:
    found = hit(training_model, filled("--target_modules", "text_ffn", "audio_lm_head"))
    assert "audio_lm_head" in found
    assert not any("audio_mlp" in name for name in found)


def test_names_of_ms_swift_are_left_to_it() -> None:
    arguments = filled("--target_modules", "all-linear")
    assert (arguments.values("target_modules"), arguments.has("target_regex")) == (["all-linear"], False)
    assert filled("--target_regex", "x").argv.count("--target_regex") == 1


@pytest.mark.parametrize("other", [["all-linear"], ["all-embedding"], ["--target_regex", "model.*q_proj"]])
def test_groups_beside_what_would_swallow_them_are_refused(other: list[str]) -> None:
    for group in LORA_GROUPS:
        assert "leave out one" in refusal(lambda: filled("--target_modules", group, *other))  # noqa: B023


@pytest.mark.parametrize("name", ["embed_audio_tokens", "model.embed_audio_tokens"])
def test_the_audio_embedding_is_saved_under_the_name_that_loads_back(training_model: Any, name: str) -> None:
    saved = filled("--modules_to_save", name, "audio_lm_head", "embed_tokens").values("modules_to_save")
    assert saved[1:] == ["audio_lm_head", "embed_tokens"]
    # peft compares endings: the module of that name, and not the one that holds it, must be what it finds.
    found = [module for module, _ in training_model.named_modules() if module.endswith(saved[0])]
    assert found == ["model.embed_audio_tokens.embed_audio_tokens"]


# --- what the plugin cannot follow --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def defaults() -> dict[str, Any]:
    """ms-swift's own arguments with the values they have when nothing is given."""
    from swift.arguments import SftArguments

    def default(field: Any) -> Any:
        made = field.default_factory is not dataclasses.MISSING
        return field.default_factory() if made else field.default

    values = {field.name: default(field) for field in dataclasses.fields(SftArguments)}
    return {**values, "task_type": "causal_lm", "columns": {}}  # as ms-swift fills them in


def test_nothing_is_refused_where_nothing_is_given(defaults: dict[str, Any]) -> None:
    refuse_unsupported(SimpleNamespace(**defaults))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("label_smoothing_factor", 0.1), ("loss_type", "cross_entropy"), ("enable_dft_loss", True),
        ("enable_channel_loss", True), ("use_logits_to_keep", True), ("packing", True), ("padding_free", True),
        ("predict_with_generate", True), ("loss_scale", "last_round"), ("system", "You speak."),
        ("columns", {"talk": "messages"}), ("task_type", "embedding"), ("tuner_backend", "unsloth"),
        ("new_special_tokens", ["<laugh>"]), ("rope_scaling", "yarn"), ("max_model_len", 4096),
    ],
)  # fmt: skip
def test_what_would_be_ignored_or_fail_in_mid_run_is_refused_at_the_start(
    defaults: dict[str, Any], name: str, value: Any
) -> None:
    assert name in defaults  # ms-swift still has it under this name
    assert f"--{name} cannot" in refusal(lambda: refuse_unsupported(SimpleNamespace(**{**defaults, name: value})))


# --- main ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the launcher; gives its exit status and what it wrote to stderr, line by line."""
    for name in ("SWIFT_CONFIG_FILE", "NPROC_PER_NODE", "NNODES"):
        monkeypatch.setenv(name, "")

    def run(*argv: object) -> tuple[int, list[str]]:
        status = main([str(part) for part in argv])
        return status, capfd.readouterr().err.splitlines()

    return run


def test_a_mistake_is_one_line_and_exit_status_one(said: Any, tiny_checkpoint: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("{}")
    model = ("--model", tiny_checkpoint)
    for argv, words in (
        ([], "The command is missing"),
        (["fly"], "'fly' is not a command"),
        (["sft", "--dataset", rows], "--model is missing"),
        (["sft", "--model"], "--model is missing"),
        (["sft", "--model", tmp_path / "nowhere"], "does not exist"),
        (["sft", "--model", tmp_path], "holds no config.json"),
        (["sft", *model, "--dataset", tmp_path / "none.jsonl"], "none.jsonl does not exist"),
        (["sft", *model, "--dataset", rows, "--text_loss_weight", "much"], "text_loss_weight is 'much'"),
        (["sft", "stray", *model], "'stray' belongs to no argument"),
        (["sft", tmp_path / "settings.yaml"], "settings.yaml does not exist"),
        (["export"], "Nothing to export"),
        (["export", "--adapters", tmp_path], "An adapter alone needs no export"),
        (["export", "--adapters", tmp_path, "--merge_lora"], "is no adapter"),
    ):
        status, lines = said(*argv)
        assert status == 1, argv
        assert len(lines) == 1, lines
        assert lines[0].startswith("Error: ")
        assert words in lines[0]


def test_a_value_that_ms_swift_cannot_read_is_a_line_and_not_its_usage(
    said: Any, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("{}")
    status, lines = said("sft", "--model", tiny_checkpoint, "--dataset", rows, "--learning_rate", "fast")
    assert status == 1
    assert lines[-1].startswith("Error: ")
    assert "--learning_rate" in lines[-1]
    assert "'fast'" in lines[-1]
    assert not any("usage" in line or "Traceback" in line for line in lines)


def test_code_that_a_checkpoint_brings_along_is_not_run(said: Any, tiny_checkpoint: Path, tmp_path: Path) -> None:
    """ms-swift would: it reads every config with trust_remote_code=True."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for item in tiny_checkpoint.iterdir():
        (folder / item.name).symlink_to(item)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoConfig": "theirs.Config"}}))
    (folder / "theirs.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')")
    rows = tmp_path / "rows.jsonl"
    rows.write_text("{}")
    for argv in (["sft", "--dataset", rows], ["export", "--quant_method", "bnb", "--quant_bits", "4"]):
        status, lines = said(*argv, "--model", folder)
        assert status == 1
        assert len(lines) == 1
        assert "auto_map" in lines[0]
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_a_config_file_may_stand_first_and_the_command_line_overrules_it(
    said: Any, tiny_checkpoint: Path, tmp_path: Path, kind: str
) -> None:
    config = tmp_path / f"run.{kind}"
    content = {"model": str(tiny_checkpoint), "dataset": [f"{tmp_path}/in-the-file.jsonl"], "text_loss_weight": 0.5}
    config.write_text(json.dumps(content))  # JSON is YAML too
    assert "in-the-file.jsonl does not exist" in said("sft", config)[1][0]
    assert "given.jsonl does not exist" in said("sft", config, "--dataset", tmp_path / "given.jsonl")[1][0]


def test_help_names_commands_and_options(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capfd.readouterr().out
    assert all(name in shown for name in ("sft", "export", "--audio_lr_ratio", "--skip_bad_rows", *LORA_GROUPS))
