/**
 * The kinds of runs that a server knows. Pure, so that a front without an engine knows them too.
 *
 * @module
 */
import { drawKind } from "./draw_kind.ts";

export const KINDS = [drawKind];
