import type { Accounts, AccountsDeps, AccountsOptions } from "./accounts.ts";

/**
 * Opens the accounts, and brings their tables up to date. Their library is loaded now: most of a warren's processes hold
 * no accounts, and it is a quarter of what they would load.
 * @throws WarrenError `bad_key` for a short secret.
 */
export async function openAccounts(deps: AccountsDeps, options: AccountsOptions): Promise<Accounts> {
	const accounts = await import("./accounts.ts");
	return accounts.openAccounts(deps, options);
}
