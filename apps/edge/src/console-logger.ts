import type { LogFields, Logger } from "@warren/kernel";

/** One line of JSON an entry: what Workers collect as logs. */
export const consoleLogger: Logger = loggerWith({});

function loggerWith(always: LogFields): Logger {
	const line = (level: string, event: string, fields?: LogFields) =>
		JSON.stringify({ level, event, ...always, ...fields });
	return {
		debug() {},
		info: (event, fields) => console.log(line("info", event, fields)),
		warn: (event, fields) => console.warn(line("warn", event, fields)),
		error: (event, fields) => console.error(line("error", event, fields)),
		child: (fields) => loggerWith({ ...always, ...fields }),
	};
}
