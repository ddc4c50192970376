import assert from "node:assert";

/**
 * Stands for `vitest` where a contract runs inside another runtime: collects its cases, and knows the few expectations
 * that it uses.
 */
export const cases: { readonly title: string; readonly run: () => Promise<void> }[] = [];

export function describe(_title: string, body: () => void): void {
	body();
}

export function it(title: string, run: () => Promise<void>): void {
	cases.push({ title, run });
}

export function expect(actual: unknown) {
	return {
		toBe: (wanted: unknown) => assert.strictEqual(actual, wanted),
		toEqual: (wanted: unknown) => assert.deepStrictEqual(plain(actual), plain(wanted)),
		rejects: {
			toThrow: () => assert.rejects(actual as Promise<unknown>),
			toMatchObject: (wanted: Readonly<Record<string, unknown>>) =>
				assert.rejects(actual as Promise<unknown>, (thrown: Record<string, unknown>) => {
					for (const [name, value] of Object.entries(wanted)) assert.deepStrictEqual(thrown[name], value);
					return true;
				}),
		},
	};
}

/** Rows of a driver may be of a class of their own. */
function plain(value: unknown): unknown {
	return JSON.parse(JSON.stringify(value)) as unknown;
}
