"""A small Phi-3 for the tests: `build(folder)` writes a Hugging Face folder in some seconds.

Phi-3's architecture, chat template, special tokens and stop ids at 0.4 million parameters, so that
its way through every converter and engine is tried without the real weights. They are random at
first and then learn a few questions by heart: a random model's best two logits often all but tie,
and a converter's rounding decides; this one is sure of `ANSWERS`, and ends them with `<|end|>`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
ANSWERS = {
    "What is the capital of France?": "The capital of France is Paris.",
    "What is the capital of Japan?": "The capital of Japan is Tokyo.",
    "Say something in Chinese.": "你好，世界！很高兴认识你。",
    "Count to nine.": "One, two, three, four, five, six, seven, eight, nine.",
    "Write one line of Python.": "```python\nprint('hello')\n```",
}
SPECIAL = ("<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>")
STOPS = ("<|endoftext|>", "<|assistant|>", "<|end|>")  # as Phi-3's generation_config.json has them
TEMPLATE = Path(__file__).parent / "templates" / "phi3.jinja"
WORDS = 320  # of the tokenizer, bytes included and special tokens not
# More than there are tokens, as in Phi-3. No other matrix may have as many rows: ONNX Runtime
# GenAI's builder (0.18) takes any such Linear for the lm_head and makes nonsense without a word.
VOCABULARY = 352
CONTEXT = 4096
STEPS = 150


def build(folder: Path, seed: int = 0, **config: Any) -> Path:
    """Write the model there with this Python's transformers, in a process of its own.

    config: fields of Phi3Config that differ, such as `rope_parameters`.
    """
    command = [sys.executable, "-m", "tests.support.small_phi3", str(folder), str(seed)]
    subprocess.run(
        [*command, json.dumps(config)],
        cwd=PROJECT,
        env={**os.environ, "PYTHONUTF8": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
        check=True,
    )
    return folder


def save_tokenizer(folder: Path) -> Any:
    """Byte-level BPE, learnt from the answers; special tokens take the blanks that follow."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator([*ANSWERS, *ANSWERS.values()], trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, rstrip=True) for text in SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    write(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONTEXT, **named},
    )
    template = TEMPLATE.read_text(encoding="utf-8")
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8", newline="\n")
    return tokenizer


def train(model: Any, conversations: list[list[int]], pad: int) -> None:
    """Learn all conversations by heart: some seconds on one core."""
    import torch

    longest = max(map(len, conversations))
    rows = [ids + [pad] * (longest - len(ids)) for ids in conversations]
    mask = [[1] * len(ids) + [0] * (longest - len(ids)) for ids in conversations]
    ids, attention = torch.tensor(rows), torch.tensor(mask)
    labels = ids.masked_fill(attention == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    for _ in range(STEPS):
        loss = model(input_ids=ids, attention_mask=attention, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5, "the small Phi-3 has not learnt its answers"


def write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def main(folder: Path, seed: int, changes: dict[str, Any]) -> None:
    import torch
    from transformers import Phi3Config, Phi3ForCausalLM

    torch.set_num_threads(1)  # the same weights each time
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = save_tokenizer(folder)
    ids = {text: tokenizer.token_to_id(text) for text in SPECIAL}
    end = ids["<|endoftext|>"]
    fields: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": CONTEXT,
        "original_max_position_embeddings": CONTEXT,
        "sliding_window": 2047,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
    }
    model = Phi3ForCausalLM(Phi3Config(**fields | changes))  # type: ignore[no-untyped-call]
    chats = [
        f"<|user|>\n{question}<|end|>\n<|assistant|>\n{answer}<|end|>\n<|endoftext|>"
        for question, answer in ANSWERS.items()
    ]
    train(model, [encoding.ids for encoding in tokenizer.encode_batch(chats)], end)
    model.generation_config.eos_token_id = [ids[text] for text in STOPS]
    model.save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
