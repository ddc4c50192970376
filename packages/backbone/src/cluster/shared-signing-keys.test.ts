import { Lifetime, systemRandom } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { masterSecret, SharedState } from "../backbone.testing.ts";
import { SigningKey } from "../identity/signing-key.ts";
import { SigningKeys, signingKeyLimits } from "../identity/signing-keys.ts";
import { SharedSecrets } from "./shared-secrets.ts";
import { sharedSigningKeys } from "./shared-signing-keys.ts";

let lifetime: Lifetime;
let shared: SharedState;
let clock: VirtualClock;
beforeEach(async () => {
	lifetime = new Lifetime();
	clock = new VirtualClock();
	shared = lifetime.own(await SharedState.open());
});
afterEach(() => lifetime.close());

const secrets = (secret = masterSecret) =>
	new SharedSecrets({ db: shared.tables.db, clock, random: systemRandom }, secret);
const first = () => [{ pem: SigningKey.generate(), from: clock.now() }];
const kids = (keys: SigningKeys) => keys.jwks().keys.map((each) => each["kid"]);
const kidOf = (token: string) =>
	(JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()) as { kid: string }).kid;

/** Two nodes, told of each other's changes. */
async function twoNodes(): Promise<[SigningKeys, SigningKeys]> {
	const nodes: SigningKeys[] = [];
	for (const given of [first(), null]) {
		const changed = () => nodes.forEach((each) => void each.reload());
		nodes.push(lifetime.own(new SigningKeys(clock, await sharedSigningKeys(secrets(), given), { changed })));
	}
	return nodes as [SigningKeys, SigningKeys];
}

describe("signing keys that nodes share", () => {
	it("I2: a key that one replaces is published by all, and signs at all from the same time on", async () => {
		const [one, other] = await twoNodes();
		expect(kids(one)).toEqual(kids(other));
		const { kid } = await one.rotate();
		await expect.poll(() => kids(other)).toEqual(kids(one));
		expect(kids(other)).toContain(kid);
		expect(kidOf(other.sign({}))).not.toBe(kid);
		await clock.advance(signingKeyLimits.aheadMs);
		expect([one, other].map((each) => kidOf(each.sign({})))).toEqual([kid, kid]);
		await clock.advance(signingKeyLimits.afterMs);
		expect([kids(one), kids(other)]).toEqual([[kid], [kid]]);
	});

	it("I2: two that replace it at once have made one key", async () => {
		const [one, other] = await twoNodes();
		const [made, same] = await Promise.all([one.rotate(), other.rotate()]);
		expect(made).toEqual(same);
		await Promise.all([one.reload(), other.reload()]);
		expect(kids(one)).toHaveLength(2);
		expect(kids(other)).toEqual(kids(one));
	});

	it("I2: at the end of a key's life it changes once, and a node that heard no news learns of it in time", async () => {
		const [one] = await twoNodes();
		const deaf = lifetime.own(new SigningKeys(clock, await sharedSigningKeys(secrets(), null)));
		one.start();
		await clock.advance(signingKeyLimits.lifeMs - signingKeyLimits.aheadMs + 2 * signingKeyLimits.checkMs);
		await expect.poll(() => kids(one)).toHaveLength(2);
		deaf.start();
		await expect.poll(() => kids(deaf)).toEqual(kids(one));
	});

	it("I2: the tables alone say nothing: what stands there is sealed, and another master secret opens none of it", async () => {
		await twoNodes();
		const rows = await shared.tables.db.selectFrom("backbone_shared_secrets").selectAll().execute();
		expect(rows).toHaveLength(1);
		expect(JSON.stringify(rows)).not.toContain("PRIVATE");
		await expect(sharedSigningKeys(secrets("another"), first())).rejects.toMatchObject({ code: "secret_unreadable" });
		const { sealed } = rows[0] as { sealed: string };
		// What was sealed for one name is not taken for another's.
		await shared.tables.db
			.insertInto("backbone_shared_secrets")
			.values({ name: "other", sealed, version: 1, updated_at: 0 })
			.execute();
		await expect(secrets().read("other")).rejects.toMatchObject({ code: "secret_unreadable" });
	});

	it("a change that was made on an older version is refused", async () => {
		const store = secrets();
		expect(await store.write("a", "one", 0)).toBe(true);
		expect(await store.write("a", "two", 0)).toBe(false);
		expect(await store.write("a", "two", 1)).toBe(true);
		expect(await store.write("a", "three", 1)).toBe(false);
		expect(await store.read("a")).toEqual({ text: "two", version: 2 });
	});
});
