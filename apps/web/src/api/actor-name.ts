import { t } from "../pages/text/activity.ts";

/** Names by identifier, of every kind of actor that has one. */
export type Names = ReadonlyMap<string, string>;

const maxUnknown = 8;

/** `user:ID` as its name; one that is gone by its kind and the beginning of its identifier. */
export function actorName(actor: string, names: Names): string {
	const [, kind = "", id = ""] = /^([a-z]+):(.+)$/.exec(actor) ?? [];
	if (kind === "operator") return (t.operators as Readonly<Record<string, string>>)[id] ?? id;
	const known = names.get(id);
	if (known !== undefined) return known;
	const word = (t.kinds as Readonly<Record<string, string>>)[kind];
	// Services and warrens are called by their names already.
	if (word !== undefined) return `${word} ${kind === "service" || kind === "mesh" ? id : id.slice(0, maxUnknown)}`;
	return actor === "anonymous" ? t.anonymous : actor;
}

/** What was acted on, with the names of those in it that have one. */
export function targetName(target: string, names: Names): string {
	return target
		.split(/([ /])/)
		.map((word) => names.get(word.replace(/^[a-z]+:/, "")) ?? word)
		.join("");
}
