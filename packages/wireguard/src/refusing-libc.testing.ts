import { errors, type Libc } from "./linux/libc.ts";

/**
 * What a host may refuse: the virtio header of a TUN (before Linux 2.6.27, some containers), its segmentation offloads,
 * UDP_SEGMENT (before 4.18), UDP_GRO (before 5.0), or a segmented send whose device cannot checksum (EIO), from the
 * hundredth on. `netlink-kills`: who asks it for the kernel's WireGuard is no more.
 */
export type Refusal =
	| ("virtio-header" | "tun-offloads" | "udp-segment" | "udp-gro")
	| ("segmented-send" | "netlink-kills");

const tunSetInterface = 0x400454ca;
const tunSetOffload = 0x400454d0;
const virtioHeader = 0x4000;
const [levelUdp, udpSegment, udpGro] = [17, 103, 104];
const nameBytes = 16;
const familyNetlink = 16;
const genericNetlink = 16;

interface Arena {
	readonly view: DataView;
	/** Its address. */
	readonly at: number;
}

/** The system's calls, but for one that it refuses. */
export function refusing(real: Libc, refusal: Refusal): Libc {
	let errno: number | null = null;
	const refuse = (number: number) => {
		errno = number;
		return -1;
	};
	const pass = <T>(result: T): T => {
		errno = null;
		return result;
	};
	let trains = 0;
	let arena: Arena | null = null;
	return {
		...real,
		socket: (family, type, protocol) => {
			if (refusal === "netlink-kills" && family === familyNetlink && protocol === genericNetlink)
				process.kill(process.pid, "SIGKILL");
			return pass(real.socket(family, type, protocol));
		},
		ioctl: (fd, request, argument) =>
			refusal === "virtio-header" &&
			request === tunSetInterface &&
			(new DataView(argument.buffer, argument.byteOffset).getUint16(nameBytes, true) & virtioHeader) !== 0
				? refuse(errors.EINVAL)
				: pass(real.ioctl(fd, request, argument)),
		ioctlNumber: (fd, request, argument) =>
			refusal === "tun-offloads" && request === tunSetOffload && argument !== 0
				? refuse(errors.EINVAL)
				: pass(real.ioctlNumber(fd, request, argument)),
		setsockopt: (fd, level, name, value, bytes) =>
			level === levelUdp &&
			((refusal === "udp-segment" && name === udpSegment) || (refusal === "udp-gro" && name === udpGro))
				? refuse(errors.EOPNOTSUPP)
				: pass(real.setsockopt(fd, level, name, value, bytes)),
		addressOf: (bytes) => {
			const at = real.addressOf(bytes);
			// The arena: messages lie in it, and are looked at there.
			if (bytes.length > 100_000) arena = { view: new DataView(bytes.buffer, bytes.byteOffset), at };
			return at;
		},
		sendmsg: (fd, message, flags) =>
			refusal === "segmented-send" && isSegmented(arena, message) && ++trains > 100
				? refuse(errors.EIO)
				: pass(real.sendmsg(fd, message, flags)),
		errno: () => errno ?? real.errno(),
	};
}

/** Whether the first control message of a `struct msghdr` is UDP_SEGMENT's. */
function isSegmented(arena: Arena | null, message: number): boolean {
	if (arena === null) return false;
	const { view, at } = arena;
	if (view.getUint32(message - at + 40, true) === 0) return false;
	const control = Number(view.getBigUint64(message - at + 32, true)) - at;
	return view.getUint32(control + 8, true) === levelUdp && view.getUint32(control + 12, true) === udpSegment;
}
