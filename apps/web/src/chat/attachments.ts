import type { Attachment } from "./conversation.ts";

const maxImageBytes = 1024 * 1024;
const maxTextBytes = 200 * 1024;
export const maxAttachments = 8;

/** @returns null for what is too large. */
export async function readAttachment(file: File): Promise<Attachment | null> {
	const image = /^image\/(png|jpeg|gif|webp)$/.test(file.type);
	if (file.size > (image ? maxImageBytes : maxTextBytes)) return null;
	if (!image) return { name: file.name, type: "text/plain", content: await file.text() };
	const bytes = new Uint8Array(await file.arrayBuffer());
	let binary = "";
	for (const byte of bytes) binary += String.fromCharCode(byte);
	return { name: file.name, type: file.type, content: btoa(binary) };
}
