"""A GGUF file becomes a Hugging Face folder whose model computes what the original computes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import numpy
import pytest
import torch
import transformers
from gguf import GGMLQuantizationType, dequantize, quantize
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM

from playground.models import children, failures
from playground.models.children import Ended, Workspace
from playground.models.gguf import convert
from playground.models.gguf.config import Config
from playground.models.gguf.errors import GgufError
from playground.prompt import ChatTokenizer
from tests.support import gguf_files

Model: TypeAlias = Any  # of transformers, mostly without types
SIZE = 320  # of the vocabulary
NAMED = ["<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|end|>", "<|eom|>"]
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"
COMMON = {
    "vocab_size": SIZE,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 1,
}
GEMMA = {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 5}
LLAMA_3_1 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
SHORT, LONG = [1.0, 1.05, 1.1], [1.08, 2.25, 19.5]
LONGROPE = {"type": "longrope", "short_factor": SHORT, "long_factor": LONG}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
ORIGINALS: dict[str, tuple[str, str, Config]] = {
    "llama": ("llama", "LlamaConfig", {"rope_theta": 5e5, "tie_word_embeddings": True}),
    "llama 3.1": ("llama", "LlamaConfig", {"rope_theta": 5e5, "rope_scaling": LLAMA_3_1}),
    "llama with biases": ("llama", "LlamaConfig", {"attention_bias": True, "head_dim": 20}),
    "qwen2": ("qwen2", "Qwen2Config", {"rope_theta": 1e6, "rope_scaling": YARN}),
    "qwen3": ("qwen3", "Qwen3Config", {"head_dim": 20}),
    "phi-3": ("phi3", "Phi3Config", {"sliding_window": 5}),
    "phi-4-mini": (
        "phi3",
        "Phi3Config",
        {
            "partial_rotary_factor": 0.5,
            "original_max_position_embeddings": 16,
            "rope_scaling": LONGROPE,
            "tie_word_embeddings": True,
        },
    ),
    "gemma 2": ("gemma2", "Gemma2Config", {**GEMMA, "final_logit_softcapping": 2.0}),
    "gemma 3": ("gemma3", "Gemma3TextConfig", {**GEMMA, "num_hidden_layers": 7}),
}


def original(name: str) -> Model:
    """A random model whose norms and biases matter too."""
    _, kind, more = ORIGINALS[name]
    config = getattr(transformers, kind)(**json.loads(json.dumps(COMMON | more)))
    torch.manual_seed(0)
    model: Model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    model.eval()
    with torch.no_grad():
        for value in model.parameters():
            value.add_(torch.randn_like(value) * 0.15)
    return model


def tokenizer() -> gguf_files.Vocabulary:
    small = Tokenizer(models.BPE())
    small.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    small.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=NAMED,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    small.train_from_iterator(["the cat sat on the mat, the end"] * 3, trainer)
    return gguf_files.byte_level(small, "smollm", SIZE, bos=1, eos=1, unknown=0, eot=3, eom=5)


def as_gguf(name: str, file: Path, **more: Any) -> Path:
    """The model as llama.cpp's converter would write it."""
    model, architecture = original(name), ORIGINALS[name][0]
    config, tensors = model.config, gguf_files.tensors(model, architecture)
    values = gguf_files.sizes(config)
    rope = config.rope_parameters
    kind = rope.get("rope_type")
    if kind == "llama3":
        inverse = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"](config)[0]
        plain = rope["rope_theta"] ** -(torch.arange(0, 12, 2) / 12)
        tensors["rope_freqs.weight"] = (plain / inverse).numpy().astype(numpy.float32)
    if kind == "longrope":
        tensors["rope_factors_short.weight"] = numpy.array(SHORT, numpy.float32)
        tensors["rope_factors_long.weight"] = numpy.array(LONG, numpy.float32)
        values["rope.scaling.original_context_length"] = 16
        values["rope.scaling.attn_factor"] = (1 + numpy.log(8) / numpy.log(16)).item() ** 0.5
    if kind == "yarn":
        values |= {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0}
        values["rope.scaling.original_context_length"] = 32
    if architecture in ("phi3", "gemma2", "gemma3"):
        values["attention.sliding_window"] = config.sliding_window or 0
    if architecture == "gemma2":
        values["attn_logit_softcapping"] = config.attn_logit_softcapping
        values["final_logit_softcapping"] = config.final_logit_softcapping
    values |= more.pop("values", {})
    tensors |= more.pop("tensors", {})
    return gguf_files.write(file, architecture, tokenizer(), values, tensors, **more)


def converted(name: str, folder: Path, **more: Any) -> Path:
    convert.convert(as_gguf(name, folder / "model.gguf", **more), folder / "made")
    return folder / "made"


def loaded(folder: Path) -> Model:
    model: Model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    model.eval()
    return model


@pytest.mark.parametrize("name", ORIGINALS)
def test_the_model_computes_what_the_original_computes(name: str, tmp_path: Path) -> None:
    model, result = original(name), loaded(converted(name, tmp_path))
    ids = torch.randint(6, SIZE, (1, 40), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(result(ids).logits, model(ids).logits, atol=1e-4, rtol=1e-4)
    frequencies = dict(model.named_buffers())  # of which some tell only beyond 40 tokens
    for buffer, value in result.named_buffers():
        torch.testing.assert_close(value, frequencies[buffer], atol=0, rtol=1e-5)
    how = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None}
    assert result.generate(ids, **how).tolist() == model.generate(ids, **how).tolist()


def test_older_transformers_find_the_rotary_embeddings_too(tmp_path: Path) -> None:
    config = json.loads((converted("phi-4-mini", tmp_path) / "config.json").read_text("utf-8"))
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 10_000
    assert config["rope_scaling"] == LONGROPE
    assert config["partial_rotary_factor"] == 0.5
    assert config["original_max_position_embeddings"] == 16


def test_stop_ids_are_the_ends_of_text_turn_and_message(tmp_path: Path) -> None:
    folder = converted("llama", tmp_path, template=TEMPLATE)
    generation = json.loads((folder / "generation_config.json").read_text("utf-8"))
    assert generation["eos_token_id"] == [1, 3, 5, 4]
    chat = ChatTokenizer(folder)
    assert chat.has_template and set(chat.stop_ids) == {1, 3, 4, 5}
    assert chat.ids("the cat")[0] == 2 and chat.ids("the cat")[-1] == 3
    assert chat.decode(chat.ids("the <|im_end|> cat")).replace("\u200b", "") == "the <|im_end|> cat"


def test_a_base_model_gets_no_template_and_its_text_is_continued(tmp_path: Path) -> None:
    folder = converted("llama", tmp_path, values={"tokenizer.ggml.add_bos_token": True})
    chat = ChatTokenizer(folder)
    assert not (folder / "chat_template.jinja").exists() and not chat.has_template
    assert chat.ids("the cat")[0] == 1
    assert chat.decode(chat.ids("the cat")) == "the cat"


def test_quantised_weights_are_what_the_file_says_of_them(tmp_path: Path) -> None:
    kind = GGMLQuantizationType.F16
    result = loaded(converted("llama", tmp_path, quantised=kind))
    expected = original("llama").state_dict()["model.embed_tokens.weight"].numpy()
    actual = result.state_dict()["model.embed_tokens.weight"]
    assert actual.dtype == torch.float32
    assert numpy.array_equal(actual.numpy(), dequantize(quantize(expected, kind), kind))


@pytest.mark.parametrize(("kind", "dtype"), [("F16", torch.float16), ("F32", torch.bfloat16)])
def test_large_models_take_two_bytes_a_weight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(convert, "LARGE", 1000)
    folder = converted("phi-3", tmp_path, quantised=GGMLQuantizationType[kind])
    assert loaded(folder).dtype == dtype


def refused(file: Path) -> str:
    with pytest.raises(GgufError) as error:
        convert.convert(file, file.parent / "made")
    assert not (file.parent / "made").is_dir() or not list((file.parent / "made").iterdir())
    report = {"error": error.value.code.name, "detail": error.value.detail}
    output = "\n".join(("Traceback", json.dumps(report), "{", "[]"))
    shown = failures.from_child(Ended(1, output), file.parent, 0, "x", file)
    assert error.value.detail in shown.message and shown.fix
    return shown.message


FREQS = {"rope_freqs.weight": numpy.full(6, 3, numpy.float32)}
EXTRA = {"blk.0.attn_sinks.weight": numpy.ones(4, numpy.float32)}


@pytest.mark.parametrize(
    ("name", "more", "expected"),
    [
        ("llama", {"values": {"expert_count": 8}}, "llama.expert_count = 8"),
        ("llama", {"values": {"logit_scale": 0.5}}, "llama.logit_scale = 0.5"),
        ("llama", {"values": {"rope.scaling.type": "longrope"}}, "of the type 'longrope'"),
        ("llama", {"tensors": EXTRA}, "the tensor blk.0.attn_sinks.weight"),
        (
            "llama",
            {"tensors": {"rope_freqs.weight": numpy.ones(6, numpy.float32) * 3}},
            "rope_freqs",
        ),
        ("phi-4-mini", {"values": {"rope.scaling.attn_factor": 2.0}}, "attn_factor = 2.0"),
    ],
)
def test_what_would_be_lost_is_refused_by_name(
    tmp_path: Path, name: str, more: Config, expected: str
) -> None:
    line = refused(as_gguf(name, tmp_path / "model.gguf", **more))
    assert line.startswith("The GGUF file contains something") and expected in line


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    tensors = gguf_files.tensors(original("llama"), "llama")
    del tensors["blk.1.ffn_up.weight"]
    values = gguf_files.sizes(original("llama").config)
    file = gguf_files.write(tmp_path / "x.gguf", "llama", tokenizer(), values, tensors)
    assert "no tensor for model.layers.1.mlp.up_proj.weight" in refused(file)


def test_a_file_that_is_none_or_not_whole_is_refused(tmp_path: Path) -> None:
    whole = as_gguf("llama", tmp_path / "whole.gguf").read_bytes()
    file = tmp_path / "模型.gguf"
    for size in (20, len(whole) // 3, len(whole) - 40):
        file.write_bytes(whole[:size])
        assert refused(file) == "The GGUF file 模型.gguf is damaged or incomplete."
    for other in (b"", b"PK\x03\x04 a zip file"):
        file.write_bytes(other)
        assert refused(file) == "模型.gguf is not a GGUF file."
    part = as_gguf("llama", tmp_path / "a-00001-of-00003.gguf", values={"split.count": 3})
    message = "This GGUF file holds only a part of the model: a-00001-of-00003.gguf, of 3."
    assert refused(part) == message


def test_an_architecture_or_tokenizer_that_is_not_known_is_a_sentence_for_a_person(
    tmp_path: Path,
) -> None:
    sizes = gguf_files.sizes(original("llama").config)
    file = gguf_files.write(tmp_path / "x.gguf", "rwkv7", tokenizer(), sizes)
    assert "architecture is not supported: 'rwkv7'; supported: gemma2, gemma3, llama, " in refused(
        file
    )
    values = {"tokenizer.ggml.model": "rwkv"} | sizes
    strange = gguf_files.write(tmp_path / "y.gguf", "llama", lambda writer: None, values)
    log = tmp_path / "log"
    ended = children.run(
        ["playground.models.gguf.convert", str(strange), str(tmp_path / "made")],
        Workspace(tmp_path, log),
    )
    error = failures.from_child(ended, tmp_path, 0, "y", log)
    message = "The GGUF file's tokenizer is not supported: model 'rwkv', pre-tokenizer None."
    assert error.message == message
