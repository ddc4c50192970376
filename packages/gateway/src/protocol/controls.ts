import { unreachable } from "@warren/kernel";
import type { Answers } from "./answers.ts";
import type { ControlMessage } from "./frames.ts";
import type { MachineCore } from "./machine-core.ts";
import { admitEachOther, type Mesh, recordOf } from "./mesh.ts";
import { MinuteLimit } from "./minute-limit.ts";
import { instanceOf } from "./presence.ts";
import type { Session } from "./session.ts";

/** Everything a mesh says that is not for others: what it shows, wants, admits and has kept. */
export class Controls {
	readonly #core: MachineCore;
	readonly #answers: Answers;
	readonly #changes: MinuteLimit;
	readonly #discoveries: MinuteLimit;

	constructor(core: MachineCore, answers: Answers) {
		this.#core = core;
		this.#answers = answers;
		this.#changes = new MinuteLimit(core.limits.changesPerMinute);
		this.#discoveries = new MinuteLimit(core.limits.discoveriesPerMinute);
	}

	hear(session: Session, mesh: Mesh, message: ControlMessage): void {
		switch (message.type) {
			case "gateway_ack":
				return this.#acknowledge(session, mesh, message.count);
			case "gateway_ping": {
				const token = message.token === undefined ? {} : { token: message.token };
				return this.#answers.say(session, JSON.stringify({ type: "gateway_pong", ...token }));
			}
			case "gateway_pong":
				return;
			case "gateway_discover":
				return this.#discover(session, mesh);
			default: {
				const waitMs = this.#changes.take(mesh.meshId, this.#core.now);
				if (waitMs > 0)
					return this.#answers.limited(
						session,
						`Rate limited (max ${this.#core.limits.changesPerMinute} changes/minute)`,
						waitMs,
					);
				return this.#change(session, mesh, message);
			}
		}
	}

	#change(
		session: Session,
		mesh: Mesh,
		message: Exclude<ControlMessage, { type: "gateway_ack" | "gateway_ping" | "gateway_pong" | "gateway_discover" }>,
	): void {
		switch (message.type) {
			case "gateway_update_rooms":
				mesh.publicRooms = message.publicRooms;
				return;
			case "gateway_update_participants":
				this.#core.meshes.setParticipants(mesh, message.participants);
				this.#core.presence.participants(mesh, this.#core.now, this.#core.limits.presenceMs);
				return;
			case "gateway_interest":
				if (!session.features.has("interest"))
					return this.#answers.fault(
						session,
						mesh,
						"gateway_interest: this connection did not name the feature interest",
					);
				this.#core.meshes.setRooms(mesh, message.rooms);
				break;
			case "gateway_access":
				mesh.allow = message.allow === null ? null : new Set(message.allow);
				mesh.block = message.block.length === 0 ? null : new Set(message.block);
				break;
			default:
				return unreachable(message);
		}
		this.#core.emit({ kind: "save", record: recordOf(mesh) });
		this.#answers.say(session, JSON.stringify({ type: "gateway_ok", of: message.type }));
	}

	#discover(session: Session, mesh: Mesh): void {
		const waitMs = this.#discoveries.take(mesh.meshId, this.#core.now);
		if (waitMs > 0)
			return this.#answers.limited(
				session,
				`Rate limited (max ${this.#core.limits.discoveriesPerMinute} discoveries/minute)`,
				waitMs,
			);
		const instances = [];
		for (const other of this.#core.meshes.online) {
			if (instances.length >= this.#core.limits.maxDiscovered) break;
			if (other === mesh || admitEachOther(mesh, other)) instances.push(instanceOf(other));
		}
		this.#answers.say(session, JSON.stringify({ type: "gateway_discover_result", instances }));
	}

	#acknowledge(session: Session, mesh: Mesh, count: number): void {
		if (!session.features.has("queue") || count < session.acknowledged || count > session.sent) {
			const why = `${count} acknowledged, ${session.sent} sent`;
			return this.#answers.fault(session, mesh, `gateway_ack: the count does not fit (${why})`);
		}
		const fresh = count - session.acknowledged;
		session.acknowledged = count;
		this.#core.deliveries.acknowledge(mesh, fresh);
	}
}
