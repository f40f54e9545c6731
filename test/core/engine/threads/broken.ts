/** A thread that fails before it serves. */
throw new Error("cannot begin");
