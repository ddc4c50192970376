/**
 * The terminal stream: its wire document and both machines, pure, for the server and for browsers alike. Sockets, PTYs
 * and tmux live one folder up. Rules: SPEC.md.
 */

export {
	type ClientEffect,
	type ClientLimits,
	type ClientMachineOptions,
	clientLimits,
	type OutputMark,
	type StopReason,
} from "./client-effects.ts";
export {
	type ClientLoopDeps,
	type ClientNotice,
	type ClientSocket,
	type ClientSocketHandlers,
	TerminalClientLoop,
} from "./client-loop.ts";
export { TerminalClient } from "./client-machine.ts";
export { decodeClientFrame, decodeServerFrame } from "./decode-frame.ts";
export {
	encodeAck,
	encodeEvent,
	encodeExit,
	encodeHello,
	encodeInput,
	encodeInputAck,
	encodeOutput,
	encodePing,
	encodePong,
	encodeRepaint,
	encodeReset,
	encodeResize,
	encodeWelcome,
} from "./encode-frame.ts";
export {
	type ClientFrame,
	type ExitReason,
	type FrameError,
	type FrameErrorCode,
	type Hello,
	maxClientMessageBytes,
	maxInputFrameBytes,
	maxOutputFrameBytes,
	maxServerMessageBytes,
	maxTerminalSide,
	type Reset,
	type ResetReason,
	type ServerFrame,
	subprotocol,
	type ViewerEvent,
	type ViewerMode,
	viewerModes,
	type Welcome,
} from "./frames.ts";
export {
	helloTimeoutMs,
	type StreamLimits,
	streamLimits,
	type ViewerEffect,
	ViewerStream,
	type ViewerStreamOptions,
} from "./server-machine.ts";
