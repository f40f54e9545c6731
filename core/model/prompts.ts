/**
 * Every prompt of the model, one file a task (facts 3.3). A twin of the drawing ones is training/tokenizer/templates.py.
 *
 * @module
 */
export * from "./prompts/answer.ts";
export * from "./prompts/draw.ts";
export * from "./prompts/edit.ts";
export * from "./prompts/ground.ts";
export * from "./prompts/judge.ts";
export * from "./prompts/micro.ts";
export * from "./prompts/plan.ts";
