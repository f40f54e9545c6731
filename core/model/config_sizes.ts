/**
 * Sizes that configs name.
 *
 * @module
 */
import { z } from "zod";

/** Of a width, a count or a side. */
export const size = z.int().positive();

/** Layers of a stack: every layer's tensors are listed before a file is looked at, so a hostile number must end here. */
export const layers = size.max(1000);
