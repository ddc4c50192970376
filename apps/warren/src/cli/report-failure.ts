import { messageOf, WarrenError } from "@warren/kernel";
import { systemFault } from "./system-fault.ts";

/** What a person sees when a command fails: what happened, then what to do. @param json one object a line instead. */
export function reportFailure(thrown: unknown, json = false): void {
	const failure = systemFault(thrown) ?? thrown;
	if (json) {
		const { code, message, fix } =
			failure instanceof WarrenError ? failure : { code: "unexpected", message: messageOf(failure), fix: "" };
		process.stderr.write(`${JSON.stringify({ error: code, message, ...(fix === "" ? {} : { fix }) })}\n`);
		return;
	}
	if (failure instanceof WarrenError) {
		process.stderr.write(`warren: ${failure.message}\n${failure.fix === "" ? "" : `        ${failure.fix}\n`}`);
		return;
	}
	process.stderr.write(
		`warren: unexpected failure: ${messageOf(failure)}\n${failure instanceof Error ? `${failure.stack}\n` : ""}`,
	);
}
