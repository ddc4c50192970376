import type { Command } from "commander";
import { checkoutFolder } from "../own-files.ts";
import { updateCheckout } from "../update/update-checkout.ts";

/** `warren update`: the newest version of the checkout that it runs from. */
export function addUpdateCommand(program: Command): void {
	program
		.command("update")
		.description("Bring this installation to its newest version; a version that cannot be set up is left again")
		.option("--json", "the result as JSON")
		.action(async (flags: { json?: boolean }) => {
			const result = await updateCheckout(checkoutFolder);
			if (flags.json === true) process.stdout.write(`${JSON.stringify(result)}\n`);
			else if (result.changes.length === 0) process.stdout.write(`Up to date, at ${result.to}.\n`);
			else {
				process.stdout.write(
					`From ${result.from} to ${result.to}:\n${result.changes.map((change) => `  ${change}\n`).join("")}Start it again: Ctrl-C and \`npm start\`, or: systemctl restart warren\n`,
				);
			}
		});
}
