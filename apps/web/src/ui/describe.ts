import { ApiError } from "../api/exchange.ts";

/** Any failure as `{message, fix, code}`, ready to be read. */
export function describe(failure: unknown): { message: string; fix: string; code: string } {
	if (failure instanceof ApiError) return { message: failure.message, fix: failure.fix, code: failure.code };
	const message = failure instanceof Error ? failure.message : String(failure);
	return { message: message || "Something failed without saying why.", fix: "", code: "" };
}
