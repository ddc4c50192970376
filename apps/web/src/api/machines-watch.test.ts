import { expect, test } from "vitest";
import { Joins } from "./machines-watch.ts";

const machine = (nodeId: string) => ({ nodeId, name: nodeId, hosts: ["10.0.0.2"], port: 5151 });
const names = (joins: Joins, message: unknown) => joins.heard(JSON.stringify(message)).map((each) => each.nodeId);

test("what the first list has did not join now", () => {
	const joins = new Joins();
	expect(names(joins, { type: "machines", machines: [machine("a"), machine("b")] })).toEqual([]);
	expect(names(joins, { type: "machine", machine: machine("b") })).toEqual([]);
	expect(names(joins, { type: "machine", machine: machine("c") })).toEqual(["c"]);
	expect(names(joins, { type: "machine", machine: machine("c") })).toEqual([]);
});

test("one that joined while the socket was gone is told once it is back", () => {
	const joins = new Joins();
	names(joins, { type: "machines", machines: [machine("a")] });
	expect(names(joins, { type: "machines", machines: [machine("a"), machine("b")] })).toEqual(["b"]);
});

test("one that was removed and joins again is told again", () => {
	const joins = new Joins();
	names(joins, { type: "machines", machines: [machine("a")] });
	names(joins, { type: "machine-removed", nodeId: "a" });
	expect(names(joins, { type: "machine", machine: machine("a") })).toEqual(["a"]);
});

test("anything else is passed over", () => {
	const joins = new Joins();
	names(joins, { type: "machines", machines: [] });
	for (const broken of [
		"{",
		"5",
		"null",
		'{"type":"machine"}',
		'{"type":"machine","machine":{"nodeId":5}}',
		'{"type":"new"}',
	])
		expect(joins.heard(broken), broken).toEqual([]);
});
