import { el, field } from "./view.js";

/** What the session's field holds: kept in this page alone. Empty = the session's cookie. */
let token = "";

const place = document.getElementById("page");
/** What this address answers: the hub's API, or everything that the machine behind it serves. */
const documents = { "/openapi/json": "The hub", "/openapi.json": "Everything at this address" };
const source = new URLSearchParams(location.search).get("of") === "all" ? "/openapi.json" : "/openapi/json";
const answer = await fetch(source);
const api = await answer.json();
const session = field("Session or API key (empty: your signed-in browser)", {
	type: "password",
	autocomplete: "off",
	oninput: (event) => {
		token = event.target.value.trim();
	},
});
place.replaceChildren(
	el("h1", {}, `${api.info.title} ${api.info.version}`),
	el(
		"p",
		{},
		"This page describes and tries the API behind this address. As a document: ",
		el("a", { href: source }, source),
	),
	el(
		"nav",
		{},
		...Object.entries(documents).map(([path, name]) =>
			path === source
				? el("strong", {}, name)
				: el("a", { href: path === "/openapi.json" ? "/openapi?of=all" : "/openapi" }, name),
		),
	),
	session.node,
	...groups(api.paths),
);

function groups(paths) {
	const byTag = new Map();
	for (const [path, verbs] of Object.entries(paths))
		for (const [verb, operation] of Object.entries(verbs)) {
			const [tag] = operation.tags;
			byTag.set(tag, [...(byTag.get(tag) ?? []), view(path, verb, operation)]);
		}
	return [...byTag].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([tag, views]) => [el("h2", {}, tag), ...views]);
}

function view(path, verb, operation) {
	const live = operation["x-websocket"] === true;
	const title = el(
		"summary",
		{},
		el("span", { className: "verb" }, live ? "WS" : verb.toUpperCase()),
		el("code", {}, path),
		` ${operation.summary}`,
	);
	const details = el("details", {}, title);
	details.addEventListener(
		"toggle",
		() => details.children.length === 1 && details.append(...form(path, verb, operation, live)),
		{ once: true },
	);
	return details;
}

function form(path, verb, operation, live) {
	const kinds = operation.security.flatMap((each) => Object.keys(each));
	const who = el("p", {}, kinds.length === 0 ? "Open to all." : `Takes: ${kinds.join(", ")}.`);
	if (live) return [who, el("p", {}, "A WebSocket: see the documents.")];
	const parameters = operation.parameters.map(({ name }) => ({ name, ...field(name) }));
	const query = field("Query", { placeholder: "format=json" });
	const schema = operation.requestBody?.content["application/json"].schema;
	const body =
		schema === undefined
			? null
			: field("Body", { rows: 8, value: JSON.stringify(example(schema), null, "\t"), spellcheck: false });
	const result = el("pre", { tabIndex: 0, role: "status" });
	const send = async () => {
		let target = path;
		for (const { name, input } of parameters) target = target.replace(`{${name}}`, encodeURIComponent(input.value));
		if (query.input.value !== "") target += `?${query.input.value.replace(/^\?/, "")}`;
		result.textContent = "…";
		try {
			const said = await fetch(target, {
				method: verb.toUpperCase(),
				headers: {
					accept: "application/json",
					...(token === "" ? {} : { authorization: `Bearer ${token}` }),
					...(body === null ? {} : { "content-type": "application/json" }),
				},
				...(body === null ? {} : { body: body.input.value }),
			});
			result.textContent = `${said.status}\n${pretty(await said.text())}`;
		} catch (fault) {
			result.textContent = fault.message;
		}
	};
	return [
		who,
		...parameters.map((each) => each.node),
		query.node,
		...(body === null
			? []
			: [el("details", {}, el("summary", {}, "Schema"), el("pre", {}, JSON.stringify(schema, null, "\t"))), body.node]),
		el("button", { type: "button", onclick: () => void send() }, "Send"),
		result,
	];
}

function example(schema) {
	if (schema.default !== undefined) return schema.default;
	if (schema.enum !== undefined) return schema.enum[0];
	if (schema.anyOf !== undefined) return example(schema.anyOf[0]);
	switch (schema.type) {
		case "object":
			return Object.fromEntries(
				(schema.required ?? []).map((name) => [name, example(schema.properties?.[name] ?? {})]),
			);
		case "array":
			return [];
		case "integer":
		case "number":
			return schema.minimum ?? 0;
		case "boolean":
			return false;
		case "string":
			return "";
		default:
			return null;
	}
}

function pretty(text) {
	try {
		return JSON.stringify(JSON.parse(text), null, "\t");
	} catch {
		return text;
	}
}
