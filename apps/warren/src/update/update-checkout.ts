import { defineErrors } from "@warren/kernel";
import { run } from "@warren/net";

const updateError = defineErrors({
	no_checkout: { status: 409 },
	changed_files: { status: 409 },
	no_upstream: { status: 409 },
	diverged: { status: 409 },
	update_failed: { status: 500 },
});

export interface UpdateResult {
	/** Commits, short. */
	readonly from: string;
	readonly to: string;
	/** Subjects of what came, newest first; empty = it was up to date. */
	readonly changes: readonly string[];
}

const gitTimeoutMs = 120_000;
const setUpTimeoutMs = 15 * 60_000;
const maxChanges = 200;

/**
 * Brings a checkout to its branch's newest commit and sets that up. A version that cannot be set up is left again.
 * @param root the checkout.
 * @throws WarrenError `no_checkout`, `changed_files`, `no_upstream`, `diverged`, `update_failed`.
 */
export async function updateCheckout(root: string): Promise<UpdateResult> {
	const git = new Git(root);
	const from = await git.read(["rev-parse", "--short", "HEAD"], () =>
		updateError("no_checkout", `${root} is no git checkout.`, { fix: "Update it the way it was installed." }),
	);
	const changed = await git.read(["status", "--porcelain", "--untracked-files=no"]);
	if (changed !== "") {
		throw updateError("changed_files", `Files of ${root} were changed:\n${changed}`, {
			fix: "Commit them, or put them back with: git checkout -- .",
		});
	}
	const upstream = await git.read(["rev-parse", "--abbrev-ref", "@{upstream}"], () =>
		updateError("no_upstream", `The branch of ${root} follows no other.`, {
			fix: "Name it with: git branch --set-upstream-to=origin/main",
		}),
	);
	await git.read(["fetch", "--quiet"]);
	const changes = lines(await git.read(["log", "--format=%s", `--max-count=${maxChanges}`, `HEAD..${upstream}`]));
	if (changes.length === 0) return { from, to: from, changes };
	await git.read(["merge", "--ff-only", "--quiet", upstream], (said) =>
		updateError("diverged", `${root} cannot follow ${upstream}: ${said}.`, {
			fix: "It has commits of its own: merge them by hand.",
		}),
	);
	try {
		await setUp(root);
	} catch (failure) {
		await git.read(["reset", "--hard", "--quiet", from]);
		await setUp(root);
		throw failure;
	}
	return { from, to: await git.read(["rev-parse", "--short", "HEAD"]), changes };
}

class Git {
	readonly #root: string;

	constructor(root: string) {
		this.#root = root;
	}

	/** @returns its output, trimmed. @throws as `failed` says, given what git said. */
	async read(
		args: readonly string[],
		failed: (said: string) => Error = (said) =>
			updateError("update_failed", `git ${args[0]} failed: ${said}.`, { fix: "Check the network, then try again." }),
	): Promise<string> {
		const result = await run("git", ["-C", this.#root, ...args], { timeoutMs: gitTimeoutMs });
		if (result.outcome !== "exited") throw updateError("update_failed", `${result.message}.`, { fix: "Install git." });
		if (result.code !== 0) throw failed(result.stderr.trim());
		return result.stdout.trim();
	}
}

async function setUp(root: string): Promise<void> {
	const result = await run("npm", ["run", "--silent", "setup"], { timeoutMs: setUpTimeoutMs, cwd: root });
	if (result.outcome === "exited" && result.code === 0) return;
	const said = result.outcome === "exited" ? result.stderr.trim().split("\n").slice(-5).join("\n") : result.message;
	throw updateError("update_failed", `The new version could not be set up: ${said}`, {
		fix: "The former version is back. Check the network and the disk, then try again.",
	});
}

function lines(text: string): string[] {
	return text === "" ? [] : text.split("\n");
}
