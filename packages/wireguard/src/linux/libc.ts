import koffi from "koffi";

type Number64 = number;

/**
 * The system calls that Node does not offer. Results below 0 come with `errno()`, read at once. Pointers are addresses
 * as plain numbers; whoever passes one keeps its memory.
 */
export interface Libc {
	open(path: string, flags: number): number;
	close(fd: number): number;
	ioctl(fd: number, request: Number64, argument: Uint8Array): number;
	ioctlNumber(fd: number, request: Number64, argument: number): number;
	read(fd: number, at: Number64, bytes: Number64): number;
	write(fd: number, at: Number64, bytes: Number64): number;
	writev(fd: number, vectors: Number64, count: number): number;
	socket(family: number, type: number, protocol: number): number;
	bind(fd: number, address: Uint8Array, bytes: number): number;
	connect(fd: number, address: Uint8Array, bytes: number): number;
	getsockname(fd: number, address: Uint8Array, bytes: Uint8Array): number;
	setsockopt(fd: number, level: number, name: number, value: Uint8Array, bytes: number): number;
	sendto(fd: number, bytes: Uint8Array, count: number, flags: number, to: Uint8Array, toBytes: number): number;
	/** The sender's address goes into `from`; `fromBytes` holds its room, 4 bytes. */
	recvfrom(
		fd: number,
		bytes: Uint8Array,
		count: number,
		flags: number,
		from: Uint8Array,
		fromBytes: Uint8Array,
	): number;
	recvmsg(fd: number, message: Number64, flags: number): number;
	sendmsg(fd: number, message: Number64, flags: number): number;
	errno(): number;
	addressOf(bytes: Uint8Array): number;
}

let opened: Libc | undefined;

/** @throws Error when koffi has no binary for this system. */
export function openLibc(): Libc {
	opened ??= open();
	return opened;
}

function open(): Libc {
	const library = koffi.load(null);
	const bind = (definition: string) => library.func(definition) as unknown;
	return {
		open: bind("int open(const char *path, int flags)") as Libc["open"],
		close: bind("int close(int fd)") as Libc["close"],
		ioctl: bind("int ioctl(int fd, unsigned long request, _Inout_ uint8_t *argument)") as Libc["ioctl"],
		ioctlNumber: bind("int ioctl(int fd, unsigned long request, unsigned long argument)") as Libc["ioctlNumber"],
		read: bind("int64_t read(int fd, int64_t at, int64_t bytes)") as Libc["read"],
		write: bind("int64_t write(int fd, int64_t at, int64_t bytes)") as Libc["write"],
		writev: bind("int64_t writev(int fd, int64_t vectors, int count)") as Libc["writev"],
		socket: bind("int socket(int family, int type, int protocol)") as Libc["socket"],
		bind: bind("int bind(int fd, const uint8_t *address, unsigned int bytes)") as Libc["bind"],
		connect: bind("int connect(int fd, const uint8_t *address, unsigned int bytes)") as Libc["connect"],
		getsockname: bind("int getsockname(int fd, _Out_ uint8_t *address, _Inout_ uint8_t *bytes)") as Libc["getsockname"],
		setsockopt: bind(
			"int setsockopt(int fd, int level, int name, const uint8_t *value, unsigned int bytes)",
		) as Libc["setsockopt"],
		sendto: bind(
			"int64_t sendto(int fd, const uint8_t *bytes, int64_t count, int flags, const uint8_t *to, unsigned int toBytes)",
		) as Libc["sendto"],
		recvfrom: bind(
			"int64_t recvfrom(int fd, _Out_ uint8_t *bytes, int64_t count, int flags, _Out_ uint8_t *from, _Inout_ uint8_t *fromBytes)",
		) as Libc["recvfrom"],
		recvmsg: bind("int64_t recvmsg(int fd, int64_t message, int flags)") as Libc["recvmsg"],
		sendmsg: bind("int64_t sendmsg(int fd, int64_t message, int flags)") as Libc["sendmsg"],
		errno: () => koffi.errno(),
		addressOf: (bytes) => Number(koffi.address(bytes)),
	};
}

/** Numbers of Linux, the same on x86-64 and arm64. */
export const errors = {
	EIO: 5,
	EAGAIN: 11,
	EBUSY: 16,
	EEXIST: 17,
	EINVAL: 22,
	ENODEV: 19,
	EBADFD: 77,
	EMSGSIZE: 90,
	ENOBUFS: 105,
	EPERM: 1,
	EACCES: 13,
	ENOENT: 2,
	EADDRINUSE: 98,
	EAFNOSUPPORT: 97,
	EOPNOTSUPP: 95,
} as const;

/** A call that must not fail. @throws Error with the call's name and the system's number. */
export function must(libc: Libc, result: number, call: string): number {
	if (result < 0) throw new SystemCallError(call, libc.errno());
	return result;
}

export class SystemCallError extends Error {
	readonly errno: number;
	constructor(call: string, errno: number) {
		const name = Object.entries(errors).find(([, number]) => number === errno)?.[0] ?? `error ${errno}`;
		super(`${call} failed: ${name}`);
		this.name = "SystemCallError";
		this.errno = errno;
	}
}

export function u32Bytes(value: number): Uint8Array {
	const bytes = new Uint8Array(4);
	new DataView(bytes.buffer).setUint32(0, value, true);
	return bytes;
}
