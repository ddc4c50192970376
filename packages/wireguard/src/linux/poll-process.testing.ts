import { whenReadable } from "./poll.ts";

/** Throws as soon as its standard input can be read. */
whenReadable(0, () => {
	throw new Error("thrown while it was read");
});
