#!/usr/bin/env python3
"""Writes models/scenes/lexicon.json, the words that drawing prompts of scenes may use, from the world.

    python3 training/tokenizer/write_lexicon.py [--out models/scenes]
"""
import argparse
import json
import pathlib

from corpus import ROOT


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "models/scenes")
    out = parser.parse_args().out
    world = json.loads((ROOT / "bench/scenes/world.json").read_text())
    lexicon = {
        "classes": [{"name": c["name"], "plural": c["plural"]} for c in world["classes"]],
        "colors": [c["name"] for c in world["colors"]],
        # The words of training/world/scenes.py's captions, and no others.
        "counts": ["two", "three", "four"],
        "relations": world["relations"],
        "grounds": [g["name"] for g in world["grounds"]],
        "function_words": ["a photo of", "a", "an", "and"],
        "examples": ["a photo of a red car and a blue dog", "a photo of three birds"],
        "max_characters": 200,
    }
    (out / "lexicon.json").write_text(json.dumps(lexicon, indent=1) + "\n")
    print(f"{len(lexicon['classes'])} classes")


if __name__ == "__main__":
    main()
