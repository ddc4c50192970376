// First: libraries of certificates and passkeys ask for it when they load, in whichever order that is in one file.
import "reflect-metadata";

import { type Environment, hubOf, roomOf } from "./platform.ts";
import { admissionHeader, decodeAdmission } from "./rooms/admission.ts";

export { HubObject } from "./hub/hub-object.ts";
export { RoomObject } from "./rooms/room-object.ts";

/** The program that Workers run: the hub judges everything; a socket that it admits goes on to its room's object. */
export default {
	async fetch(request: Request, environment: Environment): Promise<Response> {
		const answer = await hubOf(environment).fetch(request);
		const admission = answer.headers.get(admissionHeader);
		if (admission === null) return answer;
		const headers = new Headers(request.headers);
		// Over whatever the client may have sent under this name.
		headers.set(admissionHeader, admission);
		const { room } = decodeAdmission(admission);
		return roomOf(environment, room).fetch(new Request(request.url, { headers }));
	},
};
