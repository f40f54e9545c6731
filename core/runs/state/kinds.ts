/**
 * The kinds of runs that a server knows. Pure, so that a front without an engine knows them too.
 *
 * @module
 */
import { answerKind } from "./answer_kind.ts";
import { drawKind } from "./draw_kind.ts";
import { editKind } from "./edit_kind.ts";
import { groundKind } from "./ground_kind.ts";
import type { Kind } from "./kind.ts";
import { planKind } from "./plan_kind.ts";
import { reflectKind } from "./reflect_kind.ts";

export const KINDS: readonly Kind[] = [drawKind, answerKind, groundKind, editKind, planKind, reflectKind];
