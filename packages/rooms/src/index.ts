/**
 * Chat rooms of one machine: rooms, members, messages, search, read state, webhooks, and the outbox and inbox of the
 * federated ones. Works without any network; who carries the outbox is somebody else's.
 */
export { roomLimits } from "./limits.ts";
export type { Member, Message, Room, RoomView } from "./room.ts";
export { type RoomsDeps } from "./rooms.ts";
export { RoomsService } from "./rooms-service.ts";
export { roomRoutes } from "./routes.ts";
export { type RoomsTables, roomsSchema } from "./schema.ts";
