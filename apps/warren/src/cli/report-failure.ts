import { messageOf, WarrenError } from "@warren/kernel";

/** What a person sees when a command fails: what happened, then what to do. */
export function reportFailure(failure: unknown): void {
	if (failure instanceof WarrenError) {
		process.stderr.write(`warren: ${failure.message}\n${failure.fix === "" ? "" : `        ${failure.fix}\n`}`);
		return;
	}
	process.stderr.write(
		`warren: unexpected failure: ${messageOf(failure)}\n${failure instanceof Error ? `${failure.stack}\n` : ""}`,
	);
}
