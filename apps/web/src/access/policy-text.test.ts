import { describe, expect, it } from "vitest";
import { emptyRule, linesIn, readDraft, tagsIn, writeDraft } from "./policy-text.ts";

const policy = {
	comment: "ours",
	acls: [
		{ action: "accept", src: ["tag:machine"], dst: ["tag:machine"] },
		{
			action: "accept",
			src: ["tag:web", "tag:a*"],
			dst: ["*"],
			proto: "tcp",
			ports: [5432, "8000-8010"],
			direction: "both",
			comment: "db",
		},
	],
	tests: [
		{ src: "tag:web", accept: ["tag:db:5432"], deny: ["tag:db:22"] },
		{ src: ["tag:a", "tag:b"], proto: "udp", deny: ["tag:db"] },
	],
};

describe("a policy as a form", () => {
	it("comes back as it was, whatever the form does not show included", () => {
		const draft = readDraft(JSON.stringify(policy));
		expect(draft?.rules[1]).toMatchObject({ src: "tag:web, tag:a*", ports: "5432, 8000-8010", direction: "both" });
		expect(JSON.parse(writeDraft(draft as NonNullable<typeof draft>))).toEqual(policy);
	});

	it("has one rule a line, so that an error's line is a rule", () => {
		const draft = readDraft(JSON.stringify(policy)) as NonNullable<ReturnType<typeof readDraft>>;
		const text = writeDraft({ ...draft, rules: [...draft.rules, { ...emptyRule, src: "tag:x ,", dst: " *" }] });
		expect(text.split("\n")[4]).toContain('"src":["tag:x"],"dst":["*"]');
	});

	it("is left to the source where it is none", () => {
		for (const text of ["", "{", "[]", '{"acls":{}}', '{"acls":[1]}', '{"acls":[],"tests":"x"}', "null"])
			expect(readDraft(text), text).toBeNull();
		expect(readDraft('{"acls":[]}')).toEqual({ rules: [], tests: [], rest: {} });
	});

	it("names its tags, and the lines that an error names", () => {
		expect(tagsIn(readDraft(JSON.stringify(policy)) as NonNullable<ReturnType<typeof readDraft>>)).toEqual([
			"tag:a*",
			"tag:machine",
			"tag:web",
		]);
		expect(linesIn("The policy fails its own tests: line 7: a; line 9: b; line 7: c.")).toEqual([7, 9]);
	});
});
