#!/usr/bin/env python3
"""Writes test/fixtures/tokenizer.json: texts and their ids by the Python library, and prompts of drawings and edits,
so that the tests can hold the TypeScript side to them.

    python3 training/tokenizer/write_fixture.py
"""
import json

from tokenizers import Tokenizer

import corpus
import templates

ODD = ["", " ", "  ", "\n", "\n\n\n", " \n a", "a\tb", "a \t  b", "trailing ", " leading", "x" * 300, "héllo wörld", "naïve café",
       "日本語のテキスト", "Привет, мир", "مرحبا بالعالم", "हिन्दी", "🎉", "a 👩‍👩‍👧‍👦 family", "👍🏽 ok", "e\u0301 combining", "\u00a0nbsp\u00a0", "zero\u200bwidth",
       "don't I'LL we've it's", "12345 6.711 0.414, 3,14", "1024x768", "!!! ??? ...", "(a) [b] {c}", "a_b-c/d\\e", "CamelCase UPPER lower",
       "<LOC_0><LOC_1024><LOC_1025>", "<LOC_12> <LOC_120>", "<|eot_id|><|eot_id|>", " <|endoftext|> ", "<|mdm_mask|>x", "<|mdm", "<|reserved_token_5|>" * 8,
       "<|reserved_token_8|>", "<box_p> dog </box_p><LOC_BEGIN><LOC_1><LOC_2><LOC_3><LOC_4><LOC_END>", "\u2028line\u2029", "\x00\x01\x7f", "ﬁ ligature Ａ",
       "<image>\n What is this?", "a\r\nb", "½ ² Ⅷ ٣", "\ufeffbom"]


def main() -> None:
    tokenizer = Tokenizer.from_file(str(corpus.ROOT / "models/scenes/tokenizer.json"))
    sentences = sorted(set(corpus.corpus()))
    texts = ODD + sentences[:: len(sentences) // 160] + [templates.chat(templates.caption_request("a dog", templates.micro_string(256)))]
    plan = templates.PLAN_LEAD + " <box_p> dog </box_p><LOC_BEGIN><LOC_0><LOC_8><LOC_512><LOC_1024><LOC_END><|reserved_token_7|>"
    two = templates.plan_text([("red car", (32, 64, 160, 192)), ("blue dog", (160, 0, 256, 97))], 256)
    draws = []
    for caption, micro, text in [("a photo of a dog", None, ""), ("a photo of a red car and a blue dog", None, ""),
                                 ("a photo of three wine glasses", "", ""), ("a photo of a dog", None, plan),
                                 ("a photo of a red car and a blue dog", None, two), ("  spaced 日本  ", None, "")]:
        ids = templates.draw_prompt_ids(tokenizer, caption, micro, text)
        draws.append({"prompt": caption, "micro": micro, "plan": text,
                      "rows": [ids, templates.unconditional_ids(tokenizer, ids, plan=text != "")]})
    refused = ["The dog is missing.", "The car should be red but it is blue."]
    feedbacks = []
    for micro, text, said in [(None, "", refused), ("", two, refused[:1])]:
        caption = "a photo of a red car and a blue dog"
        ids = templates.draw_prompt_ids(tokenizer, caption, micro, text, said, image_tokens=3)
        feedbacks.append({"prompt": caption, "micro": micro, "plan": text, "feedback": said, "imageTokens": 3,
                          "rows": [ids, templates.unconditional_ids(tokenizer, ids, plan=text != "")]})
    moved = templates.edit_plan_text("adjusting", [("red car", (32, 64, 160, 192))], 256)
    edits = []
    for instruction, text in [("make the car red and remove the dog", ""), ("move the car to the left", moved)]:
        full = templates.edit_prompt_ids(tokenizer, instruction, 5, 4, text)
        edits.append({"instruction": instruction, "plan": text, "imageTokens": 5, "sourceTokens": 4, "full": full,
                      "un": templates.unconditional_ids(tokenizer, full, plan=text != ""),
                      "enc": [templates.edit_known_ids(tokenizer, full, mode) for mode in range(4)]})
    fixture = {"texts": [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids} for text in texts], "draws": draws}
    lines = ",\n".join(json.dumps(item) for item in fixture["texts"])
    rows = ",\n".join(json.dumps(item) for item in draws)
    after, edited = (",\n".join(map(json.dumps, items)) for items in (feedbacks, edits))
    (corpus.ROOT / "test/fixtures/tokenizer.json").write_text(
        f'{{"texts": [\n{lines}\n],\n"draws": [\n{rows}\n],\n"feedbacks": [\n{after}\n],\n"edits": [\n{edited}\n]}}\n')
    print(f"{len(texts)} texts, {len(draws) + len(feedbacks)} drawing prompts, {len(edits)} edits")


if __name__ == "__main__":
    main()
