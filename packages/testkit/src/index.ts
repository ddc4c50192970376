/** What tests share: virtual time, seeded randomness, folders and processes that clean up after themselves. Never imported by what ships. */
export { noPostgres, TestPostgres } from "./postgres.ts";
export { SeededRandom } from "./seeded-random.ts";
export { tempFolder } from "./temp-folder.ts";
export { VirtualClock } from "./virtual-clock.ts";
