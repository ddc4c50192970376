import worker, { HubObject, RoomObject } from "./worker.ts";

export { HubObject };

let opened = 0;

/** Counts how often a room came into memory: by a first socket, or out of its sleep. */
class CountedRoom extends RoomObject {
	constructor(...given: ConstructorParameters<typeof RoomObject>) {
		super(...given);
		opened += 1;
	}
}

export { CountedRoom as RoomObject };

export default {
	fetch(request: Request, environment: never): Promise<Response> {
		if (new URL(request.url).pathname === "/~opened") return Promise.resolve(Response.json(opened));
		return worker.fetch(request, environment);
	},
};
