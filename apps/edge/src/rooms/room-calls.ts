import { WarrenError } from "@warren/kernel";
import type { DocumentContents } from "@warren/sync";

export type ContentsMethod = keyof DocumentContents;

/** A call of the hub to a room: what travels between objects is plain data. */
export interface ContentsCall {
	readonly method: ContentsMethod;
	readonly given: readonly unknown[];
}

export type RoomAnswer =
	| { readonly ok: true; readonly value: unknown }
	/** A WarrenError, whose class would not survive the way. */
	| {
			readonly ok: false;
			readonly code: string;
			readonly message: string;
			readonly status: number;
			readonly fix: string;
			readonly retryable: boolean;
	  };

export function answered(value: unknown): RoomAnswer {
	return { ok: true, value };
}

export function refused({ code, message, status, fix, retryable }: WarrenError): RoomAnswer {
	return { ok: false, code, message, status, fix, retryable };
}

/** @throws WarrenError as the room threw it. */
export function valueOf(answer: RoomAnswer): unknown {
	if (answer.ok) return answer.value;
	const { code, message, ...options } = answer;
	throw new WarrenError(code, message, options);
}
