import { expect, it } from "vitest";
import { isSecretField, redactedTarget } from "./redaction.ts";

it.each([
	["/x", "/x"],
	["/x?a=1&b", "/x?a=1&b"],
	["/x?token=hush&a=1", "/x?token=REDACTED&a=1"],
	["/x?a=1&X-Amz-Signature=hush=&b=2", "/x?a=1&X-Amz-Signature=REDACTED&b=2"],
	["/x?my%5ftok%65n=hush", "/x?my%5ftok%65n=REDACTED"],
	["/x?next=/y?token=hush&a=1", "/x?next=/y?token=REDACTED&a=1"],
	["/x?token=hu?sh", "/x?token=REDACTED"],
	["/token=x", "/token=x"],
	["/x?", "/x?"],
])("of %s is shown %s", (target, shown) => expect(redactedTarget(target)).toBe(shown));

it("names of secrets are known wherever they stand in a field's name", () => {
	for (const name of ["Cookie", "Proxy-Authorization", "X-Api-Key", "x-session-id", "X-CSRF", "My-Apikey"])
		expect([name, isSecretField(name)]).toEqual([name, true]);
	for (const name of ["Accept", "X-Cookie-Law", "Content-Type"])
		expect([name, isSecretField(name)]).toEqual([name, false]);
});

it("a target that is made to be slow is redacted all the same", () => {
	const target = `/?${"?token".repeat(2700)}`;
	expect(redactedTarget(target)).toBe(target);
	expect(redactedTarget(`${target}=x`)).toBe(`${target}=REDACTED`);
});
