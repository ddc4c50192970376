import type { LogFields, Logger } from "@warren/kernel";
import { type Logger as Pino, pino } from "pino";

export interface LoggingOptions {
	readonly level: "debug" | "info" | "warn" | "error";
	/** One JSON object a line (services), or short lines for people. */
	readonly json: boolean;
	/** Where lines go; standard error unless told. Results own standard output. */
	readonly write?: (line: string) => void;
}

/** Names of fields whose values never reach a log, at any depth of two. */
const secretFields = ["token", "secret", "pin", "password", "authorization", "cookie", "key", "ticket"];

export function createLogger(options: LoggingOptions): Logger {
	const write = options.write ?? ((line: string) => void process.stderr.write(line));
	const redact = secretFields.flatMap((name) => [name, `*.${name}`]);
	const stream = {
		write: options.json ? write : (line: string) => write(humanLine(JSON.parse(line) as Record<string, unknown>)),
	};
	return wrap(pino({ level: options.level, redact, base: null }, stream));
}

function wrap(target: Pino): Logger {
	return {
		debug: (event, fields) => target.debug(fields ?? {}, event),
		info: (event, fields) => target.info(fields ?? {}, event),
		warn: (event, fields) => target.warn(fields ?? {}, event),
		error: (event, fields) => target.error(fields ?? {}, event),
		child: (fields: LogFields) => wrap(target.child(fields)),
	};
}

const levelNames: Readonly<Record<number, string>> = { 20: "debug", 30: "info", 40: "warning", 50: "error" };

function humanLine(record: Record<string, unknown>): string {
	const { level, time, msg, ...fields } = record;
	const facts = Object.entries(fields).map(
		([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
	);
	const clock = new Date(time as number).toISOString().slice(11, 19);
	return `${clock} ${levelNames[level as number] ?? "info"}: ${shown([msg as string, ...facts].join("  "))}\n`;
}

/** What somebody else said stands in many fields: it begins no line of its own, and tells a terminal nothing. */
function shown(text: string): string {
	return text.replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, (character) => {
		const code = character.charCodeAt(0).toString(16);
		return character === "\n" ? "\\n" : `\\u${code.padStart(4, "0")}`;
	});
}
