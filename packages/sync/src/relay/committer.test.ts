import { silentLogger } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import type { UpdateLog } from "../log/update-log.ts";
import type { LoggedUpdate, PendingUpdate } from "../protocol/index.ts";
import { type CommitTarget, Committer } from "./committer.ts";
import { relayLimits } from "./relay-limits.ts";

interface Commit {
	readonly at: number;
	readonly updates: number;
}

function openCommitter() {
	const clock = new VirtualClock();
	const commits: Commit[] = [];
	let head = 0;
	const log: Pick<UpdateLog, "append"> = {
		append: async (batches) => {
			const updates = batches.flatMap((batch) => batch.updates).length;
			commits.push({ at: clock.monotonic(), updates });
			const first = head + 1;
			head += updates;
			return batches.map(() => first);
		},
	};
	const committer = new Committer(log as UpdateLog, { clock, logger: silentLogger }, relayLimits);
	return { clock, committer, commits };
}

const pending = (): PendingUpdate => ({ socket: 1, owner: "user:a", update: new Uint8Array([0, 0]) });

describe("a committer", () => {
	it("lets what comes during a flush wait for the next window, and go with what comes then (S4)", async () => {
		const { clock, committer, commits } = openCommitter();
		const told = Promise.withResolvers<readonly LoggedUpdate[]>();
		const room: CommitTarget = {
			room: "notes",
			committed: (updates) => {
				if (commits.length === 1) committer.add(room, pending());
				told.resolve(updates);
			},
			rejected: (_, message) => told.reject(new Error(message)),
		};
		committer.add(room, pending());
		expect((await told.promise).map((update) => update.seq)).toEqual([1]);
		await committer.settled();
		await clock.advance(relayLimits.minWindowMs - 1);
		expect(commits).toEqual([{ at: 0, updates: 1 }]);
		committer.add(room, pending());
		await clock.advance(1);
		expect(commits).toEqual([
			{ at: 0, updates: 1 },
			{ at: relayLimits.minWindowMs, updates: 2 },
		]);
		await committer.close();
	});

	it("writes everything before it closes, also what comes while it writes", async () => {
		const { committer, commits } = openCommitter();
		let told = 0;
		const room: CommitTarget = {
			room: "notes",
			committed: (updates) => {
				told += updates.length;
				if (told < 3) committer.add(room, pending());
			},
			rejected: (_, message) => expect.unreachable(message),
		};
		committer.add(room, pending());
		await committer.close();
		expect(told).toBe(3);
		expect(commits.map((commit) => commit.updates)).toEqual([1, 1, 1]);
	});
});
