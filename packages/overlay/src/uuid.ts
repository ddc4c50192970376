import type { Clock, Random } from "@warren/kernel";

/** A UUID, version 7 (RFC 9562 §5.7): its first 48 bits are the time. */
export function uuidv7(clock: Clock, random: Random): string {
	const bytes = Buffer.from(random.bytes(16));
	bytes.writeUIntBE(clock.now(), 0, 6);
	bytes[6] = ((bytes[6] as number) & 0x0f) | 0x70;
	bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
	return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
