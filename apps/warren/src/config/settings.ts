import { readFileSync, statSync } from "node:fs";
import { defineErrors, messageOf, parseConfig } from "@warren/kernel";
import { z } from "zod";

export const configError = defineErrors({ unsafe_config: { status: 500 }, bad_config: { status: 500 } });

export type Flags = Readonly<Record<string, unknown>>;
export type Environment = Readonly<Record<string, string | undefined>>;

/** What a role can be told, and where. */
export interface RoleSettings<S extends z.ZodObject = z.ZodObject> {
	/** Its command, and its section of the file. */
	readonly name: string;
	readonly schema: S;
	/** By field its variables; of several, the first that is set counts. */
	readonly variables: Readonly<Record<string, string | readonly string[]>>;
	/** Fields without a flag, because others of this machine could read it. */
	readonly secrets?: readonly string[];
	/** Flags that are called otherwise than their fields: flag → field. */
	readonly renamed?: Readonly<Record<string, string>>;
	/** Some of the role's settings: what else its section of the file has is not this reader's. */
	readonly isPart?: boolean;
}

/** The file of settings, by role: `{"gateway": {"port": 4001}}`. */
const fileVariable = "WARREN_CONFIG";
const roleNames = [
	"node",
	"hub",
	"sidecar",
	"gateway",
	"coordinator",
	"backbone",
	"overlay",
	"agent",
	"forward",
	"edge",
] as const;
const othersMayRead = 0o077;

/**
 * A role's settings: its flags, else its environment variables, else the file that WARREN_CONFIG names, else defaults.
 * The one place that reads any of them. A switch is 1, true, 0 or false in the environment, a list has commas.
 * @param defaults what this machine itself says.
 * @throws WarrenError `bad_config`, each problem by the name under which it was set, with the value; `unsafe_config`.
 */
export function readSettings<S extends z.ZodObject>(
	role: RoleSettings<S>,
	flags: Flags,
	environment: Environment,
	defaults: Readonly<Record<string, unknown>> = {},
): z.infer<S> {
	const input: Record<string, unknown> = { ...defaults };
	const origins = new Map<string, string>();
	const set = (field: string, value: unknown, origin: string) => {
		input[field] = value;
		origins.set(field, origin);
	};
	const path = environment[fileVariable];
	if (path !== undefined && path !== "")
		for (const [field, value] of Object.entries(sectionOf(path, role))) set(field, value, `${field} in ${path}`);
	for (const [field, shape] of Object.entries(role.schema.shape)) {
		for (const variable of [role.variables[field] ?? []].flat().toReversed()) {
			const text = environment[variable];
			if (text !== undefined && text !== "") set(field, fromText(shape as z.ZodType, text, variable), variable);
		}
	}
	const secrets = new Set(role.secrets);
	for (const [flag, value] of Object.entries(flags)) {
		const field = role.renamed?.[flag] ?? flag;
		const shape = role.schema.shape[field] as z.ZodType | undefined;
		// A `--no-` flag that was not given is true by itself, and says nothing.
		if (shape === undefined || value === undefined || secrets.has(field) || (value === true && isOn(shape))) continue;
		set(field, value, flagOf(flag, value));
	}
	return parseConfig(role.schema, input, role.name, (field) => origins.get(field) ?? field);
}

/** `tlsCert` as it is typed. */
function flagOf(flag: string, value: unknown): string {
	const words = flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
	return value === false ? `--no-${words}` : `--${words}`;
}

/** @throws WarrenError `bad_config`, of a switch that is neither on nor off. */
function fromText(shape: z.ZodType, text: string, variable: string): unknown {
	switch (kindOf(shape)) {
		case "boolean":
			if (text === "1" || text === "true") return true;
			if (text === "0" || text === "false") return false;
			throw configError("bad_config", `${variable} is "${text.slice(0, 80)}", which is neither on nor off.`, {
				fix: `Set ${variable} to 1 or 0, or unset it.`,
			});
		case "array":
			return text
				.split(",")
				.map((each) => each.trim())
				.filter((each) => each !== "");
		default:
			return text;
	}
}

function kindOf(shape: z.ZodType): string {
	const { type, innerType } = shape.def as unknown as { readonly type: string; readonly innerType?: z.ZodType };
	return innerType === undefined ? type : kindOf(innerType);
}

function isOn(shape: z.ZodType): boolean {
	const { type, defaultValue } = shape.def as unknown as { readonly type: string; readonly defaultValue?: unknown };
	return type === "default" && defaultValue === true;
}

/** @throws WarrenError `bad_config`, `unsafe_config` (secrets that others of this machine can read). */
function sectionOf(path: string, role: RoleSettings): Readonly<Record<string, unknown>> {
	const fix = `Correct the file that ${fileVariable} names, or unset it.`;
	let file: unknown;
	try {
		file = JSON.parse(readFileSync(path, "utf8"));
	} catch (cause) {
		throw configError("bad_config", `The settings in ${path} cannot be read: ${messageOf(cause)}.`, { fix, cause });
	}
	const whole = z.record(z.string(), z.record(z.string(), z.unknown())).safeParse(file);
	if (!whole.success)
		throw configError("bad_config", `${path} must be an object of roles, each with an object of settings.`, { fix });
	const strange = Object.keys(whole.data).find((name) => !(roleNames as readonly string[]).includes(name));
	if (strange !== undefined)
		throw configError("bad_config", `${path} has settings of "${strange}", and there is no such role.`, {
			fix: `Roles are ${roleNames.join(", ")}.`,
		});
	const section = whole.data[role.name] ?? {};
	const known = Object.keys(role.schema.shape).filter((field) => field !== "data");
	for (const field of Object.keys(section)) {
		if (field === "data")
			throw configError("bad_config", `${path} says where ${role.name}'s data are, and every command must know that.`, {
				fix: "Say it with --data or WARREN_DATA.",
			});
		if (!known.includes(field) && role.isPart !== true)
			throw configError("bad_config", `${path} has ${role.name}.${field}, and there is no such setting.`, {
				fix: `Settings of ${role.name} are ${known.join(", ")}.`,
			});
	}
	const secret = role.secrets?.find((field) => section[field] !== undefined);
	if (secret !== undefined && process.platform !== "win32" && (statSync(path).mode & othersMayRead) !== 0)
		throw configError(
			"unsafe_config",
			`${path} holds ${role.name}.${secret}, and others of this machine may read it.`,
			{
				fix: `Keep it for yourself: chmod 600 ${path}`,
			},
		);
	return section;
}
