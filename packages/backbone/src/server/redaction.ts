import { percentDecoded } from "./credentials.ts";

/** ASCII: it stands in targets, too. */
export const redactedText = "REDACTED";

const secretFields = /^(authorization|cookie|set-cookie)$|^proxy-/i;
const secretWords = /token|secret|password|api-?key|session|signature|credential|csrf|jwt/i;
const secretParameters = /token|secret|password|key|sig|code|jwt|auth/i;

/** Whether a field's value is a secret more often than not. */
export function isSecretField(name: string): boolean {
	return secretFields.test(name) || secretWords.test(name);
}

/** A target without the values of what its query calls a secret, however that name is percent-encoded. */
export function redactedTarget(target: string): string {
	const question = target.indexOf("?");
	if (question === -1) return target;
	return target
		.slice(question + 1)
		.split("&")
		.reduce(
			(shown, pair, index) => `${shown}${index === 0 ? "?" : "&"}${redactedPair(pair)}`,
			target.slice(0, question),
		);
}

/** A target within a parameter has parameters, too. */
function redactedPair(pair: string): string {
	let at = 0;
	for (const part of pair.split("?")) {
		const equals = part.indexOf("=");
		if (equals !== -1 && secretParameters.test(percentDecoded(part.slice(0, equals))))
			return pair.slice(0, at + equals + 1) + redactedText;
		at += part.length + 1;
	}
	return pair;
}
