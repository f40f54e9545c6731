"""What the tokenizer is learned from: every string that a task of scenes can show, or may later be asked to write.

Sentences are enumerated, not sampled, so the corpus is the same on every machine. Each word that occurs here becomes one
token (build.py learns merges until nothing is left to merge); anything else still encodes, in more tokens.
"""
import json
import pathlib
import re

from templates import (EDIT_PLAN_LEAD, FEEDBACK_LEAD, PLAN_LEAD, SYSTEM, caption_request, feedback_line, grounding_dense,
                       grounding_one, judge_request, micro_string, objects_lead, plan_request)

ROOT = pathlib.Path(__file__).resolve().parents[2]
GROUNDS = ["white", "light gray", "beige", "sky blue", "mint green", "lavender", "pink", "navy"]
COUNTS = ["one", "two", "three", "four", "five", "zero", "no"]
RELATIONS = ["left of", "right of", "above", "below", "to the left of", "to the right of", "on the left", "on the right",
             "at the top", "at the bottom", "in the middle", "next to"]
SIZES = ["small", "large", "big", "smaller", "larger", "bigger"]


def article(phrase: str) -> str:
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def plural_of(name: str) -> str:
    last = name.split()[-1]
    if re.search("(s|x|z|ch|sh)$", last):
        return name if last in ("scissors", "skis") else name + "es"
    if last == "knife":
        return name[:-2] + "ves"
    if last == "person":
        return name[:-6] + "people"
    if last in ("broccoli", "sheep"):
        return name
    return name + "s"


def classes() -> list[tuple[str, str]]:
    """(name, plural) of the world's classes and of all of GenEval's, the world's first."""
    world = json.loads((ROOT / "bench/scenes/world.json").read_text())
    found = {c["name"]: c["plural"] for c in world["classes"]}
    prompts = (ROOT / "bench/geneval/evaluation_metadata.jsonl").read_text().splitlines()
    counted = {}
    for record in map(json.loads, prompts):
        if record["tag"] == "counting":
            counted[record["include"][0]["class"]] = record["prompt"].split(" ", 4)[4]
    for record in map(json.loads, prompts):
        for item in record["include"]:
            found.setdefault(item["class"], counted.get(item["class"], plural_of(item["class"])))
    return list(found.items())


def colors() -> list[str]:
    return [c["name"] for c in json.loads((ROOT / "bench/scenes/world.json").read_text())["colors"]]


def captions() -> list[str]:
    out = [json.loads(line)["prompt"] for line in (ROOT / "bench/geneval/evaluation_metadata.jsonl").read_text().splitlines()]
    for name, plural in classes():
        out.append(f"a photo of {article(name)}")
        out += [f"a photo of {count} {plural}" for count in COUNTS]
        out += [f"a photo of {article(color + ' ' + name)}" for color in colors()]
        out += [f"a photo of {article(name)} {relation} {article(name)}" for relation in RELATIONS]
        out += [f"a {size} {name} on a {ground} ground" for size in SIZES for ground in GROUNDS]
    return out


def questions_and_answers() -> list[str]:
    out = ["What is this?", "What is in this image?", "What can you see in this picture?", "Please describe this image.",
           "Describe the picture.", "What color is the ground?", "What is the background color?", "Which objects are there?",
           "How many objects are there in the image?", "What does the image show?", "Where is it?", "Yes.", "No.", "yes",
           "no", "None.", "nothing", "There is nothing else in the image.", "It is", "They are", "I see", "I can see",
           "The ground is", "The image shows", "This is a photo of", "There are", "There is", "The picture shows",
           "I do not know.", "both", "only", "also", "with", "without", "same", "different", "size", "objects", "object"]
    for color in colors() + GROUNDS:
        out += [color, color.capitalize(), f"It is {color}.", f"The ground is {color}.", f"on a {color} ground",
                f"Is the ground {color}?"]
    for count in COUNTS:
        out += [count, count.capitalize(), f"There are {count} objects."]
    for word in RELATIONS + SIZES + ["left", "right", "top", "bottom", "middle", "center"]:
        out += [word, word.capitalize(), f"It is {word}."]
    for name, plural in classes():
        out += [name, plural, f"What color is the {name}?", f"Which color is the {name}?", f"How many {plural} are there?",
                f"Where is the {name}?", f"Is there {article(name)} in the image?", f"Are there any {plural}?",
                f"Is the {name} left of the {name}?", f"Which object is right of the {name}?", f"Is the {name} above or below?",
                f"What is to the left of the {name}?", f"The {name} is on the left of the image.", f"Two {plural}.",
                f"A {name}.", f"An {name}."]
    return out


def edits() -> list[str]:
    out = []
    for name, plural in classes():
        out += [f"add {article(name)} above the {name}", f"remove the {name}", f"delete the {name}",
                f"replace the {name} with {article(name)}", f"replace the {name} by {article(name)}", f"remove all {plural}",
                f"change the {name} to {article(name)}", f"make the {name} red", f"make the {name} larger", f"make the {name} smaller",
                f"move the {name} to the left", f"move the {name} up", f"move the {name} down", f"swap the {name} and the {name}",
                f"add {article(name)} to the right of the {name} and remove the {name}", f"add two {plural}", f"resize the {name}",
                f"recolor the {name} to blue", f"keep the {name}"]
    for color in colors() + GROUNDS:
        out += [f"change the color of the dog to {color}", f"make the ground {color}", f"change the ground to {color}",
                f"set the background to {color}", f"make it {color} and move it to the top"]
    words = sorted({out_word.split(" ")[0] for out_word in out})
    return out + [word.capitalize() + " the" for word in words]


def plans() -> list[str]:
    out = [PLAN_LEAD, objects_lead()] + [EDIT_PLAN_LEAD.format(verb=verb) for verb in ("adding", "removing", "replacing", "adjusting", "edit")]
    return out + [f" {phrase} " for name, _ in classes() for phrase in (name, "red " + name)]


def reflection() -> list[str]:
    out = ["The image is correct.", "This image is correct.", "is correct", "is not correct", "The image is wrong.",
           "The objects are missing.", "There should be", "but there are only", "but there is", "instead of", "too many",
           "too few", "has the wrong color", "is missing", "should be", "but it is", "should not be there", "an extra",
           "is in the wrong place", "Expected two but found one.", "The count is wrong: expected", "The number of", "are correct"]
    for name, plural in classes():
        out += [f"The {name} is missing.", f"The {name} should be red but it is blue.", f"There should be two {plural} but there are three.",
                f"The {name} should be left of the {name} but it is right of it."]
    return out + [FEEDBACK_LEAD] + [feedback_line(number, "The dog is missing.") for number in range(1, 5)]


def corpus() -> list[str]:
    """All sentences. Numbers other than those of the scenes' size are left to single digits."""
    micro = micro_string(256) + " LUMINANCE : 0. CONTRAST : 0. SCORE : 7. HPS : 3. PIXEL_DIFF : 1."
    tasks = [SYSTEM, "system", "user", "assistant", micro, grounding_dense(), grounding_one("dog"), judge_request("a dog"),
             plan_request("a dog", micro), caption_request("a dog", micro), "\n a", "Hello", "Thanks", " and", " then"]
    # The strings that stand in every prompt weigh more, so that their words are merged first.
    return tasks * 2000 + captions() + questions_and_answers() + edits() + plans() + reflection()
