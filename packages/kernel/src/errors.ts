/**
 * A refusal or fault that reaches a person or a program: what happened, with the value, then what to do.
 * Codes are a closed catalogue per package (`defineErrors`); secrets never appear in a message.
 */
export class WarrenError extends Error {
	readonly code: string;
	/** HTTP status that fits the code. */
	readonly status: number;
	/** What the reader can do about it, one sentence; empty when the message says it all. */
	readonly fix: string;
	readonly retryable: boolean;
	/** Further facts for programs (fingerprints, limits, ages). Never secrets. */
	readonly details: Readonly<Record<string, unknown>>;

	constructor(code: string, message: string, options: WarrenErrorOptions = {}) {
		super(message, options.cause === undefined ? undefined : { cause: options.cause });
		this.name = "WarrenError";
		this.code = code;
		this.status = options.status ?? 500;
		this.fix = options.fix ?? "";
		this.retryable = options.retryable ?? false;
		this.details = options.details ?? {};
	}

	/** The shape of every API error: `{error: code, message, fix?, retryable, …details}`. */
	toBody(): Record<string, unknown> {
		return {
			...this.details,
			error: this.code,
			message: this.message,
			...(this.fix === "" ? {} : { fix: this.fix }),
			retryable: this.retryable,
		};
	}
}

export interface WarrenErrorOptions {
	status?: number;
	fix?: string;
	retryable?: boolean;
	details?: Readonly<Record<string, unknown>>;
	cause?: unknown;
}

interface ErrorKind {
	readonly status: number;
	readonly retryable?: boolean;
	readonly fix?: string;
}

/** A package's catalogue: `const fail = defineErrors({unknown_session: {status: 404}})`, then `throw fail("unknown_session", "…")`. */
export function defineErrors<const K extends Readonly<Record<string, ErrorKind>>>(kinds: K) {
	return (code: keyof K & string, message: string, options: Omit<WarrenErrorOptions, "status"> = {}): WarrenError => {
		const kind = kinds[code] as ErrorKind;
		return new WarrenError(code, message, {
			retryable: kind.retryable ?? false,
			fix: kind.fix ?? "",
			...options,
			status: kind.status,
		});
	};
}

/** The message of anything that was thrown, for logs and for `cause` lines. */
export function messageOf(thrown: unknown): string {
	return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Ends an exhaustive `switch`: the compiler proves that it is never reached. */
export function unreachable(value: never): never {
	throw new Error(`unreachable value ${JSON.stringify(value)}`);
}
