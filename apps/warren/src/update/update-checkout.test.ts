import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { updateCheckout } from "./update-checkout.ts";

/** An upstream and a checkout of it, of which set-up writes a file. */
function checkouts(folder: string) {
	const upstream = join(folder, "upstream");
	const checkout = join(folder, "checkout");
	const git = (cwd: string, ...args: string[]) =>
		execFileSync("git", ["-C", cwd, "-c", "user.name=Ada", "-c", "user.email=ada@example.test", ...args], {
			encoding: "utf8",
		});
	mkdirSync(upstream);
	git(upstream, "init", "--quiet", "--initial-branch=main");
	const commit = (subject: string, setup: string) => {
		writeFileSync(join(upstream, "package.json"), JSON.stringify({ name: "w", version: "1.0.0", scripts: { setup } }));
		writeFileSync(join(upstream, "subject"), subject);
		git(upstream, "add", "-A");
		git(upstream, "commit", "--quiet", "-m", subject);
	};
	commit("first", "node -e \"fs.writeFileSync('../set-up','first')\"");
	git(folder, "clone", "--quiet", upstream, checkout);
	return { checkout, commit, git: (...args: string[]) => git(checkout, ...args) };
}

const subjectOf = (checkout: string) => readFileSync(join(checkout, "subject"), "utf8");

describe("an update of a checkout", () => {
	it("brings what is new, and sets it up; a second time there is nothing", async () => {
		using folder = tempFolder("update");
		const { checkout, commit } = checkouts(folder.path);
		expect(await updateCheckout(checkout)).toMatchObject({ changes: [] });
		expect(existsSync(join(folder.path, "set-up"))).toBe(false);
		commit("second", "node -e \"fs.writeFileSync('../set-up','second')\"");
		const result = await updateCheckout(checkout);
		expect(result.changes).toEqual(["second"]);
		expect(result.to).not.toBe(result.from);
		expect(readFileSync(join(folder.path, "set-up"), "utf8")).toBe("second");
		expect(await updateCheckout(checkout)).toMatchObject({ changes: [], from: result.to });
	});

	it("goes back to the former version when the new one cannot be set up", async () => {
		using folder = tempFolder("update");
		const { checkout, commit } = checkouts(folder.path);
		commit("broken", "echo no disk >&2; exit 1");
		await expect(updateCheckout(checkout)).rejects.toMatchObject({
			code: "update_failed",
			message: expect.stringContaining("no disk"),
		});
		expect(subjectOf(checkout)).toBe("first");
	});

	it("touches no changed file, and no commit of one's own", async () => {
		using folder = tempFolder("update");
		const { checkout, commit, git } = checkouts(folder.path);
		commit("second", "true");
		writeFileSync(join(checkout, "subject"), "mine");
		await expect(updateCheckout(checkout)).rejects.toMatchObject({
			code: "changed_files",
			message: expect.stringContaining("subject"),
		});
		git("commit", "--quiet", "-am", "mine");
		await expect(updateCheckout(checkout)).rejects.toMatchObject({ code: "diverged" });
		expect(subjectOf(checkout)).toBe("mine");
	});

	it("says what it cannot update", async () => {
		using folder = tempFolder("update");
		await expect(updateCheckout(folder.path)).rejects.toMatchObject({ code: "no_checkout" });
		const { checkout, git } = checkouts(folder.path);
		git("checkout", "--quiet", "-b", "own");
		await expect(updateCheckout(checkout)).rejects.toMatchObject({ code: "no_upstream" });
	});
});
