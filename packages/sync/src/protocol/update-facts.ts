import { syncLimits } from "./limits.ts";
import { Malformed, Reader } from "./reader.ts";

/** Half-open range of clocks. */
export interface ClockRange {
	readonly from: number;
	readonly to: number;
}

/** What an update holds, without its content: which clocks it brings and which it deletes. */
export interface UpdateFacts {
	readonly structs: ReadonlyMap<number, readonly ClockRange[]>;
	readonly deletes: ReadonlyMap<number, readonly ClockRange[]>;
}

export type UpdateReading =
	| { readonly ok: true; readonly facts: UpdateFacts }
	| { readonly ok: false; readonly message: string };

/**
 * Walks a whole Yjs update (V1), structs, content and delete set, to its last byte. Nothing is built and nothing is
 * trusted: what passes here can be decoded by Yjs. Source: yjs 13.6 `encoding.js`, `structs/*`, `DeleteSet.js`.
 * @param maxRanges of clocks, held and deleted: for what somebody sends. Two bytes can name one.
 */
export function readUpdate(update: Uint8Array, maxRanges = Number.POSITIVE_INFINITY): UpdateReading {
	const reader = new Reader(update);
	const left = { ranges: maxRanges };
	try {
		const structs = readStructs(reader, left);
		const deletes = readDeletes(reader, left);
		reader.end();
		return { ok: true, facts: { structs, deletes: withDeletedStructs(deletes, structs.deleted, left) } };
	} catch (thrown) {
		if (thrown instanceof TooManyRanges)
			return { ok: false, message: `the update names more than ${maxRanges} ranges` };
		if (thrown instanceof Malformed) return { ok: false, message: `the update is malformed: ${thrown.message}` };
		throw thrown;
	}
}

/** Content kinds, the low five bits of a struct's info byte. */
const gc = 0;
const skip = 10;
const deleted = 1;

class StructMap extends Map<number, ClockRange[]> {
	/** Structs that arrive as tombstones: deleted whether or not the delete set says so. */
	readonly deleted = new Map<number, ClockRange[]>();
}

/** How many ranges the update may still name. */
interface RangesLeft {
	ranges: number;
}

class TooManyRanges extends Error {}

function readStructs(reader: Reader, left: RangesLeft): StructMap {
	const structs = new StructMap();
	const clients = reader.varUint();
	for (let c = 0; c < clients; c++) {
		const count = reader.varUint();
		const client = reader.varUint();
		let clock = reader.varUint();
		for (let s = 0; s < count; s++) {
			const info = reader.u8();
			const kind = info & 31;
			// Yjs knows a skip by the whole byte: with other bits set it is an item of no known content, and throws.
			if (kind === skip && info !== skip) throw new Malformed(`struct ${info} before byte ${reader.at} is not known`);
			const length = kind === gc || kind === skip ? reader.varUint() : readItem(reader, info, kind);
			if (length < 1) throw new Malformed(`a struct before byte ${reader.at} has no length`);
			const to = clock + length;
			if (!Number.isSafeInteger(to)) throw new Malformed(`client ${client} would pass clock 2^53`);
			if (kind !== skip) addRange(structs, client, { from: clock, to }, left);
			if (kind === gc || kind === deleted) addRange(structs.deleted, client, { from: clock, to }, left);
			clock = to;
		}
	}
	return structs;
}

/** @returns its length in clocks. */
function readItem(reader: Reader, info: number, kind: number): number {
	if ((info & 0x80) !== 0) skipId(reader);
	if ((info & 0x40) !== 0) skipId(reader);
	if ((info & 0xc0) === 0) {
		const named = reader.varUint();
		if (named === 1) reader.skipVarString();
		else if (named === 0) skipId(reader);
		else throw new Malformed(`a parent before byte ${reader.at} is neither name nor id`);
		if ((info & 0x20) !== 0) reader.skipVarString();
	}
	return readContent(reader, kind);
}

function skipId(reader: Reader): void {
	reader.varUint();
	reader.varUint();
}

function readContent(reader: Reader, kind: number): number {
	switch (kind) {
		case deleted:
			return reader.varUint();
		case 2: // JSON
			return repeat(reader, () => checkJson(reader.varString(), true));
		case 3: // binary
			reader.skipVarBytes();
			return 1;
		case 4: // string
			return reader.skipVarString();
		case 5: // embed
			checkJson(reader.varString(), false);
			return 1;
		case 6: // format
			reader.skipVarString();
			checkJson(reader.varString(), false);
			return 1;
		case 7: {
			const type = reader.varUint();
			if (type > 6) throw new Malformed(`type ${type} is not known`);
			if (type === xmlElement || type === xmlHook) reader.skipVarString();
			return 1;
		}
		case 8: // any
			return repeat(reader, () => skipAny(reader, 0));
		case 9: // sub-document
			reader.skipVarString();
			if (reader.bytes[reader.at] !== anyObject) throw new Malformed("a sub-document's options are no object");
			skipAny(reader, 0);
			return 1;
		default:
			throw new Malformed(`content kind ${kind} before byte ${reader.at} is not known`);
	}
}

const xmlElement = 3;
const xmlHook = 5;
const anyObject = 118;

function repeat(reader: Reader, each: () => void): number {
	const count = reader.varUint();
	// Each value takes a byte at least.
	if (count > reader.left) throw new Malformed(`${count} values are announced, ${reader.left} bytes follow`);
	for (let i = 0; i < count; i++) each();
	return count;
}

/** Yjs parses these when it reads the struct: what does not parse would make every reader of the document throw. */
function checkJson(text: string, undefinedAllowed: boolean): void {
	if (undefinedAllowed && text === "undefined") return;
	let depth = 0;
	let deepest = 0;
	for (let i = 0; i < text.length; i++) {
		const code = text.charCodeAt(i);
		if (code === 0x5b || code === 0x7b) deepest = Math.max(deepest, ++depth);
		else if (code === 0x5d || code === 0x7d) depth -= 1;
	}
	// Brackets inside strings count too: a wrong refusal needs 65 of them unbalanced, a stack needs thousands.
	if (deepest > syncLimits.maxContentDepth * 16) throw new Malformed("content is nested too deeply");
	try {
		JSON.parse(text);
	} catch {
		throw new Malformed("content that should be JSON is not");
	}
}

/** lib0 `readAny`, whose type byte is 127 − n. */
function skipAny(reader: Reader, depth: number): void {
	if (depth > syncLimits.maxContentDepth) throw new Malformed("content is nested too deeply");
	const type = reader.u8();
	switch (type) {
		case 127: // undefined
		case 126: // null
		case 121: // false
		case 120: // true
			return;
		case 125:
			return reader.skipVarInt();
		case 124:
			return reader.skip(4);
		case 123:
		case 122:
			return reader.skip(8);
		case 119:
			reader.skipVarString();
			return;
		case anyObject:
			repeat(reader, () => {
				reader.skipVarString();
				skipAny(reader, depth + 1);
			});
			return;
		case 117:
			repeat(reader, () => skipAny(reader, depth + 1));
			return;
		case 116:
			return reader.skipVarBytes();
		default:
			throw new Malformed(`value type ${type} before byte ${reader.at} is not known`);
	}
}

function readDeletes(reader: Reader, left: RangesLeft): Map<number, ClockRange[]> {
	const deletes = new Map<number, ClockRange[]>();
	const clients = reader.varUint();
	for (let c = 0; c < clients; c++) {
		const client = reader.varUint();
		const count = reader.varUint();
		for (let d = 0; d < count; d++) {
			const from = reader.varUint();
			const length = reader.varUint();
			if (!Number.isSafeInteger(from + length)) throw new Malformed(`client ${client} would pass clock 2^53`);
			if (length > 0) addRange(deletes, client, { from, to: from + length }, left);
		}
	}
	return deletes;
}

function withDeletedStructs(
	deletes: Map<number, ClockRange[]>,
	structs: ReadonlyMap<number, readonly ClockRange[]>,
	left: RangesLeft,
): Map<number, ClockRange[]> {
	for (const [client, ranges] of structs) for (const range of ranges) addRange(deletes, client, range, left);
	return deletes;
}

function addRange(map: Map<number, ClockRange[]>, client: number, range: ClockRange, left: RangesLeft): void {
	const ranges = map.get(client);
	const last = ranges?.at(-1);
	if (ranges !== undefined && last?.to === range.from) {
		ranges[ranges.length - 1] = { from: last.from, to: range.to };
		return;
	}
	left.ranges -= 1;
	if (left.ranges < 0) throw new TooManyRanges();
	if (ranges === undefined) map.set(client, [range]);
	else ranges.push(range);
}

/** An update that says nothing: no structs, no deletes. */
export const emptyUpdate = new Uint8Array([0, 0]);
