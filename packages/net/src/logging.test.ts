import { expect, it } from "vitest";
import { createLogger, type LoggingOptions } from "./logging.ts";

function lines(json: boolean, log: (logger: ReturnType<typeof createLogger>) => void): string[] {
	const written: string[] = [];
	const options: LoggingOptions = { level: "info", json, write: (line) => void written.push(line) };
	log(createLogger(options));
	return written;
}

it("what a stranger said is one line of a log for people, and steers no terminal", () => {
	const fault = "gone\r\n00:00:00 error: forged\u001b[2J\u009b1A\u202e\u2028ü";
	const [line, ...others] = lines(false, (logger) => logger.warn("a peer left", { fault, tries: 2, list: [fault] }));
	expect(others).toEqual([]);
	expect(line).toMatch(/^\d\d:\d\d:\d\d warning: a peer left {2}fault=gone\\u000d\\n00:00:00 error: forged/);
	expect(line).toMatch(/ tries=2 .*ü"\]\n$/);
	expect(line?.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Bidi_Control}\u2028]/u);
});

it("a service's log keeps what was said as it was, in JSON, and no secrets", () => {
	const [line] = lines(true, (logger) => logger.info("x", { fault: "a\nb", token: "t-1", of: { pin: "1234" } }));
	expect(JSON.parse(line ?? "")).toMatchObject({ msg: "x", fault: "a\nb", token: "[Redacted]" });
	expect(line).not.toContain("1234");
});
