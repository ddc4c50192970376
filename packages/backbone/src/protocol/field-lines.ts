import { fieldValue, isToken } from "./head-bytes.ts";

/** Names of one message's fields, in small letters. */
export type FieldSet = ReadonlySet<string>;

/**
 * Options of a Connection field (RFC 9110 §7.6.1), in small letters. Null: one of them is not a token.
 * @param value of all lines of it, as one list.
 */
export function connectionOptions(value: string): FieldSet | null {
	const options = new Set<string>();
	for (const each of value.split(",")) {
		const option = fieldValue(each, 0, each.length).toLowerCase();
		if (option === "") continue;
		if (!isToken(option)) return null;
		options.add(option);
	}
	return options;
}

const aboutConnection: FieldSet = new Set(["close", "keep-alive", "upgrade"]);

/** Whether an option speaks of the connection itself, and names no field. */
export function isAboutConnection(option: string): boolean {
	return aboutConnection.has(option);
}

/** Lines without those of such names. One pass, however many names there are: whoever sends a head chooses them. */
export function withoutFields(lines: string, names: FieldSet): string {
	let kept = "";
	for (const line of lines.split("\r\n")) {
		if (line !== "" && !names.has(nameOf(line))) kept += `${line}\r\n`;
	}
	return kept;
}

/** The first field of that name. @param name in small letters. */
export function fieldOf(lines: string, name: string): string | undefined {
	const line = lines.split("\r\n").find((each) => nameOf(each) === name);
	return line === undefined ? undefined : fieldValue(line, name.length + 1, line.length);
}

const nameOf = (line: string): string => line.slice(0, line.indexOf(":")).toLowerCase();
