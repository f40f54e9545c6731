"""The prompt strings of scenes, and the token ids of the draw prompt. The TypeScript twin is core/model/prompts/.

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


def caption_request(caption: str, micro: str) -> str:
    return f"Generate an image with the caption:\n {caption} {micro}"


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
    return PLAN_LEAD + ",".join(boxed(label, loc_text(xyxy, side)) for label, xyxy in things) + EXPAND


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


def draw_prompt_ids(tokenizer, caption: str, micro: str | None = None, plan: str = "") -> list[int]:
    """Ids of the conditional row, up to and excluding the first image token. `micro` None: that of a 256-px picture;
    empty: none. `tokenizer`: a `tokenizers.Tokenizer`."""
    micro = micro_string(256) if micro is None else micro
    # A plan may end in a space, and an assistant message is trimmed only at its outer ends; the image tokens follow it.
    return tokenizer.encode(chat(caption_request(caption, micro)) + plan.lstrip(), add_special_tokens=False).ids


def unconditional_ids(tokenizer, ids: list[int], plan: bool = False) -> list[int]:
    """The guidance row: same length, everything through the second <|eot_id|> masked; with a plan, everything."""
    mask, end = tokenizer.token_to_id("<|mdm_mask|>"), tokenizer.token_to_id("<|eot_id|>")
    keep = len(ids) if plan else [i for i, token in enumerate(ids) if token == end][1] + 1
    return [mask] * keep + ids[keep:]
