#!/usr/bin/env python3
"""Writes models/scenes/tokenizer.json and tokenizer_config.json: byte-level BPE (GPT-2 pre-tokenizer) and the added
tokens that all tasks need. Deterministic.

    python3 training/tokenizer/build.py [--out models/scenes]
"""
import argparse
import json
import pathlib

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from corpus import ROOT, corpus
from templates import ADDED_TOKENS

# Llama 3's chat layout (facts 3.2); the header of the assistant is always there.
CHAT_TEMPLATE = ("{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + "
                 "'<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
                 "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}")


def build() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    # min_frequency 1 and a limit that is never reached: merging ends when every word of the corpus is one token.
    trainer = trainers.BpeTrainer(vocab_size=8192, min_frequency=1, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(corpus(), trainer)
    added = [AddedToken(text, special=control, normalized=False) for text, control in ADDED_TOKENS]
    # One call each keeps the order whatever the kind.
    for token in added:
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    return tokenizer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "models/scenes")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = build()
    tokenizer.save(str(out / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "mask_token": "<|mdm_mask|>",
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 8192,
        "padding_side": "right",
        "chat_template": CHAT_TEMPLATE,
    }
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    learned = tokenizer.get_vocab_size(with_added_tokens=False)
    print(f"{learned - 256} merges, {learned} byte-level tokens, {len(ADDED_TOKENS)} added, "
          f"{tokenizer.get_vocab_size()} in all")


if __name__ == "__main__":
    main()
