import * as Y from "yjs";

/** A document's content as JSON by root name. Roots carry no type on the wire, so each is taken for what its content is. */
export function documentJson(doc: Y.Doc): Record<string, unknown> {
	const names = [...doc.share.keys()].sort();
	return Object.fromEntries(names.map((name) => [name, rootJson(doc, name)]));
}

function rootJson(doc: Y.Doc, name: string): unknown {
	const root = doc.share.get(name) as Y.AbstractType<unknown>;
	if (root._map.size > 0 && root._start === null) return doc.getMap(name).toJSON();
	const contents = new Set<string>();
	for (let item = root._start; item !== null; item = item.right) {
		if (item.deleted) continue;
		const { content } = item;
		contents.add(content instanceof Y.ContentType ? content.type.constructor.name : content.constructor.name);
	}
	if ([...contents].some((each) => each.includes("Xml"))) return doc.getXmlFragment(name).toJSON();
	if (contents.has("ContentString") || contents.has("ContentFormat")) return doc.getText(name).toJSON();
	return doc.getArray(name).toJSON();
}
