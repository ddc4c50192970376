import { messageOf, WarrenError } from "@warren/kernel";
import { systemFault } from "./system-fault.ts";

/** What a person sees when a command fails: what happened, then what to do. */
export function reportFailure(thrown: unknown): void {
	const failure = systemFault(thrown) ?? thrown;
	if (failure instanceof WarrenError) {
		process.stderr.write(`warren: ${failure.message}\n${failure.fix === "" ? "" : `        ${failure.fix}\n`}`);
		return;
	}
	process.stderr.write(
		`warren: unexpected failure: ${messageOf(failure)}\n${failure instanceof Error ? `${failure.stack}\n` : ""}`,
	);
}
