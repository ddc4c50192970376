import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { defineErrors } from "@warren/kernel";

const keyError = defineErrors({ bad_key: { status: 400 }, key_file_unreadable: { status: 500 } });

const maxKeyLength = 4096;

/**
 * The providers' keys as an environment file: `NAME=value` lines, mode 0600, no encryption. Whoever reads the data folder
 * could read the key beside it just as well. Read again whenever the file changed, so that a key counts from the next
 * request on and one that was taken away is gone.
 */
export class KeyFile {
	readonly #path: string;
	#seen = "";
	/** The file was looked at in this turn of the event loop: whoever asks in it sees the same. */
	#looked = false;
	#values: ReadonlyMap<string, string> = new Map();

	constructor(path: string) {
		this.#path = path;
	}

	get(variable: string): string | undefined {
		this.#refresh();
		return this.#values.get(variable);
	}

	names(): string[] {
		this.#refresh();
		return [...this.#values.keys()];
	}

	/** @param value null takes it away. @throws WarrenError `bad_key`. */
	set(variable: string, value: string | null): void {
		if (value !== null && (!/^[\x21-\x7e]+$/.test(value) || value.length > maxKeyLength))
			throw keyError("bad_key", `A key is 1 to ${maxKeyLength} printable characters without spaces; this one is not.`);
		this.#looked = false;
		this.#refresh();
		this.#looked = false;
		const values = new Map(this.#values);
		if (value === null) values.delete(variable);
		else values.set(variable, value);
		const text = [...values].map(([name, each]) => `${name}=${each}\n`).join("");
		mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
		const draft = `${this.#path}.${process.pid}.new`;
		const handle = openSync(draft, "w", 0o600);
		try {
			writeFileSync(handle, text);
			fsyncSync(handle);
		} finally {
			closeSync(handle);
		}
		renameSync(draft, this.#path);
	}

	#refresh(): void {
		if (this.#looked) return;
		this.#looked = true;
		setImmediate(() => {
			this.#looked = false;
		});
		const facts = statSync(this.#path, { throwIfNoEntry: false });
		const seen = facts === undefined ? "none" : `${facts.ino} ${facts.mtimeMs} ${facts.size}`;
		if (seen === this.#seen) return;
		this.#values = facts === undefined ? new Map() : parse(this.#read());
		this.#seen = seen;
	}

	#read(): string {
		try {
			return readFileSync(this.#path, "utf8");
		} catch (cause) {
			throw keyError("key_file_unreadable", `The key file ${this.#path} cannot be read: ${(cause as Error).message}.`, {
				fix: "Correct its permissions: it belongs to whoever runs the hub, mode 0600.",
				cause,
			});
		}
	}
}

/** Lines that are no `NAME=value` (comments, blanks) are passed over; quotes around a value are taken off. */
function parse(text: string): Map<string, string> {
	const values = new Map<string, string>();
	for (const line of text.split(/\r?\n/)) {
		const match = /^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=\s*(.*?)\s*$/.exec(line);
		if (match === null) continue;
		const value = (match[2] as string).replace(/^(["'])(.*)\1$/, "$2");
		if (value !== "") values.set(match[1] as string, value);
	}
	return values;
}
