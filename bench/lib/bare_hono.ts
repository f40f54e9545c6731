/** The least that hono can be: what the front's cold start is measured against. */
import { Hono } from "hono";

const app = new Hono();
app.get("/health", (context) => context.json({ ready: true }));

export default app;
