"""The prompt strings of scenes, and the token ids of the prompts of drawings and edits. The TypeScript twin is core/model/prompts/.

Strings are those of the published inference scripts (LaViDa-O facts 3.2-3.4); training uses the very same ones.
"""
SYSTEM = ("You are a helpful language and vision assistant. You are able to understand the visual content that the user "
          "provides, and assist the user with a variety of tasks using natural language.")
PLAN_LEAD = "Sure I should place the objects in the following manner"
EDIT_PLAN_LEAD = "Sure I should consider {verb} the objects in these locations :"
FEEDBACK_LEAD = " Please also consider past generations and their feedbacks. Do not repeat these errors "
IMAGE = "<|reserved_token_5|>"
SOURCE = "<|reserved_token_6|>"
EXPAND = "<|reserved_token_7|>"
LOC_TOKENS = 1025
PICTURE = -1  # where a token of the tower stands among ids
# In the order of the vocabulary; True: a control token, dropped when text is shown to people.
ADDED_TOKENS = ([(text, True) for text in
                 ["<|startoftext|>", "<|endoftext|>"] + [f"<|reserved_token_{n}|>" for n in range(8)] +
                 ["<|mdm_mask|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]] +
                [(f"<LOC_{k}>", False) for k in range(LOC_TOKENS)] +
                [(text, False) for text in ["<box_p>", "</box_p>", "<LOC_BEGIN>", "<LOC_END>"]])


def message(role: str, content: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n{content.strip()}<|eot_id|>"


def chat(user: str) -> str:
    """System and user message, then an open assistant header (facts 3.2)."""
    return ("<|startoftext|>" + message("system", SYSTEM) + message("user", user) +
            "<|start_header_id|>assistant<|end_header_id|>\n\n")


def micro_string(size: int) -> str:
    """The micro-conditioning of a picture that was not resized or cropped (facts 3.4)."""
    return f"ORIGINAL WIDTH : {size}; ORIGINAL HEIGHT : {size}; TOP : 0; LEFT : 0;"


def encode(tokenizer, text: str, image_tokens: int = 0) -> list[int]:
    """Ids with `PICTURE` where a picture's tokens stand. The published quirk: behind a picture the first token is lost, if
    the text starts with the token that begins every text (facts 3.2). `tokenizer`: a `tokenizers.Tokenizer`."""
    pieces = [tokenizer.encode(piece, add_special_tokens=False).ids for piece in text.split("<image>")]
    lost = int(text.startswith("<|startoftext|>"))
    out = pieces[0]
    for piece in pieces[1:]:
        out = out + [PICTURE] * image_tokens + piece[lost:]
    return out


def caption_request(caption: str, micro: str, feedback=()) -> str:
    """`feedback`: what was wrong with each of the pictures that were refused, which stand beside it."""
    request = f"Generate an image with the caption:\n {caption} {micro}"
    if not feedback:
        return request
    lines = [feedback_line(number, text) for number, text in enumerate(feedback, 1)]
    return f"{request} {FEEDBACK_LEAD}" + "\n".join(lines)


def edit_request(instruction: str, source_tokens: int) -> str:
    """`source_tokens`: one for each 2x2 VQ ids of the picture that is edited."""
    return f"<image> {SOURCE * source_tokens}\n {instruction} "


def plan_request(caption: str, micro: str) -> str:
    return (f"Generate an image with the caption: {caption} {micro}. "
            "Please first think and plan the layout in LOC format.")


def loc_text(xyxy, side: int) -> str:
    """Four coordinates, given in pixels of a square picture (facts 3.5)."""
    return "".join(f"<LOC_{round(1024 * c / side)}>" for c in xyxy)


def boxed(label: str, coordinates: str) -> str:
    return f" <box_p> {label} </box_p><LOC_BEGIN>{coordinates}<LOC_END>"


def plan_text(things, side: int) -> str:
    """`things`: (label, xyxy) pairs. What stands before the image tokens (facts 6.7): the plan, with its [exp]."""
    return PLAN_LEAD + boxes_text(things, side) + EXPAND


def edit_plan_text(verb: str, things, side: int) -> str:
    return EDIT_PLAN_LEAD.format(verb=verb) + boxes_text(things, side) + EXPAND


def boxes_text(things, side: int) -> str:
    return ",".join(boxed(label, loc_text(xyxy, side)) for label, xyxy in things)


def grounding_one(expression: str) -> str:
    return f"\n Please locate {expression} in this image. Give bounding boxes in LOC format."


def grounding_dense() -> str:
    return "\n Please describe this image with dense localized caption. Give bounding boxes in LOC format."


def objects_lead() -> str:
    return "There are following objects in the scene. "


MASKS = "<|mdm_mask|>" * 4


def ground_one_text(expression: str) -> str:
    """The whole sequence, with the published apostrophe in front, which switches off the loss of a token behind `<image>`."""
    return "'" + chat("<image>" + grounding_one(expression)) + f"<LOC_BEGIN>{MASKS}<LOC_END><|eot_id|>"


def ground_list_text(expressions) -> str:
    objects = ",".join(boxed(expression, MASKS) for expression in expressions)
    return chat("<image>" + grounding_dense()) + objects_lead() + objects.lstrip() + "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"


def judge_request(caption: str) -> str:
    return (f"\nPlease evaluate this generated image based on the following prompt: {caption} "
            "Focus on text alignment and compositionality.")


def feedback_line(number: int, text: str) -> str:
    return f"Generation {number}: <image>\n Feedback {number}: {text}"


def draw_prompt_ids(tokenizer, caption: str, micro: str | None = None, plan: str = "", feedback=(), image_tokens: int = 0) -> list[int]:
    """Ids of the conditional row, up to and excluding the first image token. `micro` None: that of a 256-px picture;
    empty: none. `image_tokens`: of each picture of the feedback."""
    micro = micro_string(256) if micro is None else micro
    # A plan may end in a space, and an assistant message is trimmed only at its outer ends; the image tokens follow it.
    return encode(tokenizer, chat(caption_request(caption, micro, feedback)) + plan.lstrip(), image_tokens)


def edit_prompt_ids(tokenizer, instruction: str, image_tokens: int, source_tokens: int, plan: str = "") -> list[int]:
    """Ids of the full row, up to and excluding the first image token."""
    return encode(tokenizer, chat(edit_request(instruction, source_tokens)) + plan.lstrip(), image_tokens)


def unconditional_ids(tokenizer, ids: list[int], plan: bool = False) -> list[int]:
    """The guidance row: same length, everything through the second <|eot_id|> masked; with a plan, everything."""
    mask, end = tokenizer.token_to_id("<|mdm_mask|>"), tokenizer.token_to_id("<|eot_id|>")
    keep = len(ids) if plan else [i for i, token in enumerate(ids) if token == end][1] + 1
    return [mask] * keep + ids[keep:]


def edit_known_ids(tokenizer, ids: list[int], mode: int = 0) -> list[int]:
    """The row of image guidance (facts 6.4): 0 keeps the source's VQ tokens, 1 all but those, 2 all but both kinds of
    picture tokens, 3 both kinds."""
    mask, source = (tokenizer.token_to_id(token) for token in ("<|mdm_mask|>", SOURCE))
    known = {0: lambda token: token == source, 1: lambda token: token != source,
             2: lambda token: token not in (source, PICTURE), 3: lambda token: token in (source, PICTURE)}[mode]
    return [token if known(token) else mask for token in ids]
