import { Socket } from "node:dgram";

/** While it stands, datagrams arrive at this process's sockets as from port 0. Only a raw socket sends such. */
export interface FromPortZero extends Disposable {
	/** So many arrived. */
	readonly arrived: number;
	/** What those who heard of one threw: without this, the end of the process. */
	readonly faults: readonly unknown[];
}

/** @param port of the socket that is sent to. */
export function fromPortZero(port: number): FromPortZero {
	const { emit } = Socket.prototype;
	const faults: unknown[] = [];
	let arrived = 0;
	const emitFromZero = function (this: Socket, event: string, ...told: unknown[]): boolean {
		if (event !== "message" || this.address().port !== port) return Reflect.apply(emit, this, [event, ...told]);
		arrived += 1;
		const [datagram, from] = told;
		try {
			return Reflect.apply(emit, this, [event, datagram, { ...(from as object), port: 0 }]);
		} catch (fault) {
			faults.push(fault);
			return true;
		}
	};
	Object.defineProperty(Socket.prototype, "emit", { configurable: true, writable: true, value: emitFromZero });
	return {
		get arrived() {
			return arrived;
		},
		faults,
		// It is inherited.
		[Symbol.dispose]: () => void Reflect.deleteProperty(Socket.prototype, "emit"),
	};
}
