import type * as authority from "./authority.ts";

/** What writes certificates is some two hundred modules, and few processes of a warren do: it is loaded when asked. */
const loaded = () => import("./authority.ts");

export type Authority = authority.Authority;
/** The warren's own CA: made anew, or read. */
export const Authority = {
	create: async (...given: Parameters<typeof authority.Authority.create>) =>
		(await loaded()).Authority.create(...given),
	load: async (...given: Parameters<typeof authority.Authority.load>) => (await loaded()).Authority.load(...given),
};

export const createCsr = async (...given: Parameters<typeof authority.createCsr>) =>
	(await loaded()).createCsr(...given);

export const readRevocationList = async (...given: Parameters<typeof authority.readRevocationList>) =>
	(await loaded()).readRevocationList(...given);
