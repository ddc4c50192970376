import type { Command } from "commander";
import type { RoleSettings } from "../config/settings.ts";

/** Each flag's help ends in its environment variable, as the role's settings have it. */
export function withVariables(command: Command, { variables, renamed = {} }: Omit<RoleSettings, "schema">): Command {
	for (const option of command.options) {
		const flag = option.attributeName();
		const names = [variables[renamed[flag] ?? flag] ?? []].flat();
		const missing = names.filter((name) => !option.description.includes(name));
		if (missing.length === 0 || option.description.includes("[")) continue;
		option.description += ` [${missing.join(", ")}]`;
	}
	return command;
}
