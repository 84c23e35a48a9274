// Serves a store of Deno KV's shape over KV Connect (https://github.com/denoland/denokv/blob/main/proto/kv-connect.md),
// so that `open_kv("deno+http://…")`, and any other client of that protocol, can use it.
//
// As a program, over Deno's own store:
//   DENO_KV_ACCESS_TOKEN=… deno run --unstable-kv --allow-net --allow-env --allow-read --allow-write \
//     deno_bridge.ts --path state.db --port 4512
//
// As a module, over a store that only its own platform can open:
//   import { serveKv } from "./deno_bridge.ts";
//   const handle = serveKv(openKv(":project:"), { token });   // (Request) => Promise<Response>
//
// It has to have get, getMany, list, atomic (check, set, delete; sum, min and max if they are used) and, for watching,
// watch. Reads must be strongly consistent, and an atomic commit must happen as a whole. Nothing is imported but what
// the runtime itself has.

import { deserialize, serialize } from "node:v8";

type Bytes = Uint8Array<ArrayBuffer>;
type Part = Bytes | string | number | bigint | boolean;
type Key = Part[];

export interface Options {
  /** Whoever has it may read and write everything. */
  token: string;
  /** How long a route and its token are good for. */
  lifetimeSeconds?: number;
}

const MAX_BODY = 2 * 1024 * 1024;
const LIMITS = { ranges: 10, entries: 1000, mutations: 1000, watched: 10 };

/** What is refused before anything was done: the client's fault. */
class Refused extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

// ---------------------------------------------------------------------------------------------- protocol buffers

type Field = { number: number; value: bigint | Bytes };

function* fields(message: Bytes): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= message.length) throw new Refused(400, "the message ends early");
      const byte = message[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new Refused(400, "the message holds a number that is too long");
  };
  const take = (length: number): Bytes => {
    if (at + length > message.length) throw new Refused(400, "the message ends early");
    at += length;
    return message.slice(at - length, at);
  };
  while (at < message.length) {
    const tag = varint();
    const number = Number(tag >> 3n);
    const kind = Number(tag & 7n);
    if (number === 0) throw new Refused(400, "the message holds a field that isn't one");
    if (kind === 0) yield { number, value: varint() };
    else if (kind === 1) yield { number, value: take(8) };
    else if (kind === 2) yield { number, value: take(Number(varint())) };
    else if (kind === 5) yield { number, value: take(4) };
    else throw new Refused(400, "the message holds a field that isn't one");
  }
}

/** The fields of a message by number: the last of each, and all of those that may repeat. */
class Message {
  private readonly found = new Map<number, (bigint | Bytes)[]>();

  constructor(content: Bytes) {
    for (const { number, value } of fields(content)) {
      const before = this.found.get(number);
      if (before === undefined) this.found.set(number, [value]);
      else before.push(value);
    }
  }

  bytes(number: number): Bytes {
    const value = this.found.get(number)?.at(-1) ?? new Uint8Array(0);
    if (!(value instanceof Uint8Array)) throw new Refused(400, `field ${number} isn't bytes`);
    return value;
  }

  number(number: number): bigint {
    const value = this.found.get(number)?.at(-1) ?? 0n;
    if (typeof value !== "bigint") throw new Refused(400, `field ${number} isn't a number`);
    return BigInt.asIntN(64, value);
  }

  has(number: number): boolean {
    return this.found.has(number);
  }

  messages(number: number): Message[] {
    return (this.found.get(number) ?? []).map((value) => {
      if (!(value instanceof Uint8Array)) throw new Refused(400, `field ${number} isn't a message`);
      return new Message(value);
    });
  }
}

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, value);
  do {
    bytes.push(Number(left & 0x7fn) | (left > 0x7fn ? 0x80 : 0));
    left >>= 7n;
  } while (left > 0n);
  return bytes;
}

function field(number: number, value: bigint | number | boolean | Bytes): Bytes {
  if (value instanceof Uint8Array) {
    return concat([new Uint8Array([...varint(BigInt(number << 3 | 2)), ...varint(BigInt(value.length))]), value]);
  }
  return new Uint8Array([...varint(BigInt(number << 3)), ...varint(BigInt(value))]);
}

function concat(pieces: Bytes[]): Bytes {
  const whole = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

// ---------------------------------------------------------------------------------------------------------- keys

// One type byte for each part; content in bytes has every 0x00 followed by 0xff, and ends with 0x00.
const TAG = { bytes: 0x01, string: 0x02, zero: 0x14, double: 0x21, false: 0x26, true: 0x27 };
const BIGINTS = { first: 0x0b, last: 0x1d };

function encodeKey(key: readonly Part[]): Bytes {
  return concat(key.map(encodePart));
}

function encodePart(part: Part): Bytes {
  if (part instanceof Uint8Array) return escaped(TAG.bytes, part);
  if (typeof part === "string") return escaped(TAG.string, new TextEncoder().encode(part));
  if (typeof part === "boolean") return new Uint8Array([part ? TAG.true : TAG.false]);
  if (typeof part === "bigint") return encodeBigInt(part);
  const bytes = new Uint8Array(9);
  const view = new DataView(bytes.buffer);
  bytes[0] = TAG.double;
  view.setFloat64(1, part);
  const bits = view.getBigUint64(1);
  view.setBigUint64(1, bits >> 63n ? ~bits : bits ^ (1n << 63n));
  return bytes;
}

function encodeBigInt(part: bigint): Bytes {
  if (part === 0n) return new Uint8Array([TAG.zero]);
  const isNegative = part < 0n;
  let hex = (isNegative ? -part : part).toString(16);
  if (hex.length % 2) hex = "0" + hex;
  const content = Uint8Array.fromHex(hex);
  if (isNegative) content.forEach((byte, at) => content[at] = ~byte);
  const size = content.length;
  if (size > 255) throw new Refused(400, "a key holds a number that is too long");
  if (size <= 8) return concat([new Uint8Array([TAG.zero + (isNegative ? -size : size)]), content]);
  const head = isNegative ? [BIGINTS.first, size ^ 0xff] : [BIGINTS.last, size];
  return concat([new Uint8Array(head), content]);
}

function escaped(tag: number, content: Bytes): Bytes {
  const bytes = [tag];
  for (const byte of content) {
    bytes.push(byte);
    if (byte === 0) bytes.push(0xff);
  }
  bytes.push(0);
  return new Uint8Array(bytes);
}

/** The parts that `bytes` begins with, and what is left over. */
function decodeParts(bytes: Bytes): { parts: Key; rest: Bytes } {
  const parts: Key = [];
  let at = 0;
  while (at < bytes.length) {
    const found = decodePart(bytes, at);
    if (found === null) break;
    parts.push(found.part);
    at = found.end;
  }
  return { parts, rest: bytes.slice(at) };
}

function decodePart(bytes: Bytes, at: number): { part: Part; end: number } | null {
  const tag = bytes[at++];
  if (tag === TAG.bytes || tag === TAG.string) {
    const content: number[] = [];
    for (; at < bytes.length; at++) {
      if (bytes[at] === 0) {
        if (bytes[at + 1] !== 0xff) {
          const whole = new Uint8Array(content);
          if (tag === TAG.bytes) return { part: whole, end: at + 1 };
          return { part: decodeText(whole), end: at + 1 };
        }
        content.push(0);
        at++;
      } else content.push(bytes[at]);
    }
    return null;
  }
  if (tag === TAG.false || tag === TAG.true) return { part: tag === TAG.true, end: at };
  if (tag === TAG.double) {
    if (at + 8 > bytes.length) return null;
    const view = new DataView(new ArrayBuffer(8));
    const bits = new DataView(bytes.buffer, bytes.byteOffset + at, 8).getBigUint64(0);
    view.setBigUint64(0, bits >> 63n ? bits ^ (1n << 63n) : ~bits);
    return { part: view.getFloat64(0), end: at + 8 };
  }
  if (tag >= BIGINTS.first && tag <= BIGINTS.last) {
    const isNegative = tag < TAG.zero;
    let size = Math.abs(tag - TAG.zero);
    if (size > 8) {
      if (at >= bytes.length) return null;
      size = isNegative ? bytes[at] ^ 0xff : bytes[at];
      at++;
    }
    if (at + size > bytes.length) return null;
    const content = bytes.slice(at, at + size).map((byte) => isNegative ? ~byte : byte);
    const value = size === 0 ? 0n : BigInt("0x" + content.toHex());
    return { part: isNegative ? -value : value, end: at + size };
  }
  return null;
}

function decodeText(bytes: Bytes): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refused(400, "a key holds text that isn't UTF-8");
  }
}

function decodeKey(bytes: Bytes): Key {
  const { parts, rest } = decodeParts(bytes);
  if (rest.length > 0 || parts.length === 0) throw new Refused(400, "a key isn't one");
  return parts;
}

/** The first key that isn't before `bound`; null where there is none. */
function firstKeyFrom(bound: Bytes): Key | null {
  const { parts, rest } = decodeParts(bound);
  if (rest.length === 0) return parts;
  if (rest[0] < TAG.bytes) return [...parts, new Uint8Array(0)];
  if (rest[0] > TAG.true) return firstKeyBeyond(parts);
  if (rest[0] <= TAG.string) {
    // Content without its end, such as that of `prefix + 0xff`: after a string this looks like a 0x00 inside of it.
    const whole = decodePart(concat([rest, new Uint8Array(1)]), 0);
    if (whole !== null) return [...parts, whole.part];
  }
  throw new Refused(400, "a range ends inside of a part of a key; this store can't be read so");
}

/** The first key after all keys that begin with `parts`; null where there is none. */
function firstKeyBeyond(parts: Key): Key | null {
  const last = parts.at(-1);
  const before = parts.slice(0, -1);
  if (last === undefined) return null;
  if (last instanceof Uint8Array) return [...before, concat([last, new Uint8Array(1)])];
  if (typeof last === "string") return [...before, last + "\0"];
  if (typeof last === "number") {
    const bytes = encodePart(last);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(1, view.getBigUint64(1) + 1n);
    return [...before, decodePart(bytes, 0)!.part];
  }
  if (typeof last === "bigint") return [...before, last + 1n];
  if (last === false) return [...before, true];
  return firstKeyBeyond(before); // nothing comes after `true`
}

// -------------------------------------------------------------------------------------------------------- values

const ENCODING = { v8: 1, le64: 2, bytes: 3 };

function decodeValue(data: Bytes, encoding: number): unknown {
  if (encoding === ENCODING.bytes) return data;
  try {
    if (encoding === ENCODING.v8) return deserialize(data);
    if (encoding === ENCODING.le64 && data.length === 8) {
      return new Deno.KvU64(new DataView(data.buffer, data.byteOffset).getBigUint64(0, true));
    }
  } catch (fault) {
    throw new Refused(400, `a value can't be read: ${fault}`);
  }
  throw new Refused(400, "a value has an encoding that isn't one");
}

function encodeValue(value: unknown): { data: Bytes; encoding: number } {
  if (value instanceof Uint8Array) return { data: new Uint8Array(value), encoding: ENCODING.bytes };
  if (value instanceof Deno.KvU64) {
    const data = new Uint8Array(8);
    new DataView(data.buffer).setBigUint64(0, value.value, true);
    return { data, encoding: ENCODING.le64 };
  }
  return { data: new Uint8Array(serialize(value)), encoding: ENCODING.v8 };
}

function encodeEntry(entry: Deno.KvEntry<unknown>): Bytes {
  const { data, encoding } = encodeValue(entry.value);
  return concat([
    field(1, encodeKey(entry.key as Key)),
    field(2, data),
    field(3, encoding),
    field(4, Uint8Array.fromHex(entry.versionstamp)),
  ]);
}

// --------------------------------------------------------------------------------------------------------- reads

interface Range {
  start: Bytes;
  end: Bytes;
  limit: number;
  reverse: boolean;
}

async function snapshotRead(kv: Deno.Kv, body: Bytes): Promise<Bytes> {
  const ranges = new Message(body).messages(1).map((each): Range => ({
    start: each.bytes(1),
    end: each.bytes(2),
    limit: Number(each.number(3)),
    reverse: each.number(4) !== 0n,
  }));
  if (ranges.length > LIMITS.ranges) throw new Refused(400, `at most ${LIMITS.ranges} ranges are read at once`);
  if (ranges.some((range) => range.limit < 1)) throw new Refused(400, "a range's limit must be 1 or more");
  if (ranges.reduce((sum, range) => sum + range.limit, 0) > LIMITS.entries) {
    throw new Refused(400, `at most ${LIMITS.entries} entries are read at once`);
  }
  const found = await readRanges(kv, ranges);
  const outputs = found.map((entries) => field(1, concat(entries.map((entry) => field(1, encodeEntry(entry))))));
  return concat([...outputs, field(4, true), field(8, 1)]);
}

async function readRanges(kv: Deno.Kv, ranges: Range[]): Promise<Deno.KvEntry<unknown>[][]> {
  const points = ranges.map(pointOf);
  if (points.every((key) => key !== null)) {
    const entries = points.length ? await kv.getMany(points as Key[], { consistency: "strong" }) : [];
    return entries.map((entry) => entry.versionstamp === null ? [] : [entry as Deno.KvEntry<unknown>]);
  }
  // The store has no call that reads several ranges as they were at one moment. If nothing was written between the
  // beginning of the first reading and the end of a second one, what was read was true in between.
  for (let tries = 0; tries < 20; tries++) {
    const first = await Promise.all(ranges.map((range) => readRange(kv, range)));
    if (ranges.length === 1) return first;
    const second = await Promise.all(ranges.map((range) => readRange(kv, range)));
    if (fingerprint(first) === fingerprint(second)) return first;
  }
  throw new Error("what is read keeps changing");
}

function fingerprint(ranges: Deno.KvEntry<unknown>[][]): string {
  return JSON.stringify(ranges.map((range) => range.map((entry) => [encodeKey(entry.key as Key).toHex(), entry.versionstamp])));
}

/** The key of a range that can hold one key alone: it is followed by itself and 0x00. */
function pointOf(range: Range): Key | null {
  const { start, end } = range;
  if (end.length !== start.length + 1 || end.at(-1) !== 0 || start.some((byte, at) => byte !== end[at])) return null;
  return decodeKey(start);
}

async function readRange(kv: Deno.Kv, range: Range): Promise<Deno.KvEntry<unknown>[]> {
  const start = firstKeyFrom(range.start);
  const end = firstKeyFrom(range.end);
  if (start === null) return [];
  if (end !== null && compare(encodeKey(start), encodeKey(end)) >= 0) return [];
  const selector: Deno.KvListSelector = end !== null ? { start, end } : start.length ? { prefix: [], start } : { prefix: [] };
  // A batch is one moment's view, so the whole has to be one batch.
  const options = { limit: range.limit, batchSize: range.limit, reverse: range.reverse, consistency: "strong" as const };
  return await Array.fromAsync(kv.list(selector, options));
}

function compare(a: Bytes, b: Bytes): number {
  for (let at = 0; at < Math.min(a.length, b.length); at++) if (a[at] !== b[at]) return a[at] - b[at];
  return a.length - b.length;
}

// -------------------------------------------------------------------------------------------------------- writes

const MUTATION = { set: 1, delete: 2, sum: 3, max: 4, min: 5, setSuffixed: 9 };

async function atomicWrite(kv: Deno.Kv, body: Bytes): Promise<Bytes> {
  const message = new Message(body);
  if (message.has(3)) throw new Refused(400, "queues can't be used over KV Connect");
  if (message.messages(2).length > LIMITS.mutations) {
    throw new Refused(400, `at most ${LIMITS.mutations} mutations are written at once`);
  }
  const operation = refusing(() => operationOf(kv, message));
  let result: Deno.KvCommitResult | Deno.KvCommitError;
  try {
    result = await operation.commit();
  } catch (fault) {
    // Deno's own store says so where a limit is broken, and nothing was done then. Of another store's errors nobody
    // knows: that a request failed is a TypeError too.
    if (fault instanceof TypeError && kv instanceof Deno.Kv) throw new Refused(400, fault.message);
    throw fault;
  }
  if (!result.ok) return field(1, 2);
  return concat([field(1, 1), field(2, Uint8Array.fromHex(result.versionstamp))]);
}

function operationOf(kv: Deno.Kv, message: Message): Deno.AtomicOperation {
  const operation = kv.atomic();
  for (const check of message.messages(1)) {
    const versionstamp = check.bytes(2);
    if (![0, 10].includes(versionstamp.length)) throw new Refused(400, "a versionstamp isn't one");
    operation.check({ key: decodeKey(check.bytes(1)), versionstamp: versionstamp.length ? versionstamp.toHex() : null });
  }
  for (const mutation of message.messages(2)) mutate(kv, operation, mutation);
  return operation;
}

/** Do what has no effect; where it fails, the request is at fault. */
function refusing<T>(build: () => T): T {
  try {
    return build();
  } catch (fault) {
    throw fault instanceof TypeError || fault instanceof RangeError ? new Refused(400, fault.message) : fault;
  }
}

function mutate(kv: Deno.Kv, operation: Deno.AtomicOperation, mutation: Message): void {
  const key = decodeKey(mutation.bytes(1));
  const kind = Number(mutation.number(3));
  if (kind === MUTATION.delete) {
    operation.delete(key);
    return;
  }
  const content = new Message(mutation.bytes(2));
  const value = decodeValue(content.bytes(1), Number(content.number(2)));
  const expiresAt = Number(mutation.number(4));
  const options = expiresAt > 0 ? { expireIn: Math.max(1, expiresAt - Date.now()) } : undefined;
  if (kind === MUTATION.set) operation.set(key, value, options);
  else if (kind === MUTATION.setSuffixed) {
    // Deno has it, its types don't yet.
    const suffix = (kv as unknown as { commitVersionstamp(): Part }).commitVersionstamp();
    operation.set([...key, suffix], value, options);
  } else if (!(value instanceof Deno.KvU64)) throw new Refused(400, "sum, min and max take 64-bit unsigned integers");
  else if (kind === MUTATION.sum) operation.sum(key, value.value);
  else if (kind === MUTATION.max) operation.max(key, value.value);
  else if (kind === MUTATION.min) operation.min(key, value.value);
  else throw new Refused(400, "a mutation is of a kind that isn't one");
}

// --------------------------------------------------------------------------------------------------------- watch

function watch(kv: Deno.Kv, body: Bytes): ReadableStream<Bytes> {
  const keys = new Message(body).messages(1).map((each) => decodeKey(each.bytes(1)));
  if (keys.length === 0 || keys.length > LIMITS.watched) throw new Refused(400, `1 to ${LIMITS.watched} keys can be watched`);
  return kv.watch(keys as Deno.KvKey[]).pipeThrough(
    new TransformStream({
      transform(entries, controller) {
        const outputs = entries.map((entry) => {
          const isThere = entry.versionstamp !== null;
          const content = isThere ? [field(2, encodeEntry(entry as Deno.KvEntry<unknown>))] : [];
          return field(2, concat([field(1, true), ...content]));
        });
        const message = concat([field(1, 1), ...outputs]);
        const length = new Uint8Array(4);
        new DataView(length.buffer).setUint32(0, message.length, true);
        controller.enqueue(concat([length, message]));
      },
    }),
  );
}

// -------------------------------------------------------------------------------------------------------- server

/** Return what answers KV Connect's requests for `kv`: hand it to `Deno.serve`, or to a platform's HTTP trigger. */
export function serveKv(kv: Deno.Kv, options: Options): (request: Request) => Promise<Response> {
  const { token, lifetimeSeconds = 3600 } = options;
  if (!/^[\x21-\x7e]{8,}$/.test(token)) throw new Error("the access token must have 8 characters or more, and no spaces");
  const routes = new Routes(token, lifetimeSeconds);
  const versions = typeof kv.watch === "function" ? [3, 2] : [2];

  return async (request) => {
    try {
      if (request.method !== "POST") throw new Refused(405, "KV Connect is spoken with POST");
      const given = request.headers.get("authorization")?.match(/^Bearer (.+)$/i)?.[1] ?? "";
      const method = new URL(request.url).pathname.match(/\/kv-connect\/(\w+)$/)?.[1];
      const body = new Uint8Array(await limited(request));
      if (method === undefined) {
        if (!await routes.isAccessToken(given)) throw new Refused(401, "the access token isn't right");
        return await exchange(request, body, versions, routes);
      }
      if (!await routes.isGood(given)) throw new Refused(401, "the token isn't good, or no longer");
      if (request.headers.get("x-denokv-database-id") !== await routes.databaseId()) {
        throw new Refused(400, "that is another database");
      }
      if (!versions.includes(Number(request.headers.get("x-denokv-version")))) {
        throw new Refused(400, "that version isn't spoken here");
      }
      if (method === "snapshot_read") return protobuf(await snapshotRead(kv, body));
      if (method === "atomic_write") return protobuf(await atomicWrite(kv, body));
      if (method === "watch" && versions.includes(3)) {
        return new Response(watch(kv, body), { headers: { "content-type": "application/octet-stream" } });
      }
      throw new Refused(404, "there is no such method");
    } catch (fault) {
      return refusal(fault);
    }
  };
}

async function limited(request: Request): Promise<ArrayBuffer> {
  const pieces: Bytes[] = [];
  let size = 0;
  for await (const piece of request.body ?? []) {
    size += piece.length;
    if (size > MAX_BODY) throw new Refused(413, "the request is too long");
    pieces.push(piece as Bytes);
  }
  return concat(pieces).buffer;
}

async function exchange(request: Request, body: Bytes, versions: number[], routes: Routes): Promise<Response> {
  let supported: unknown = [1];
  if (body.length > 0) {
    try {
      supported = JSON.parse(new TextDecoder().decode(body)).supportedVersions;
    } catch {
      throw new Refused(400, "the request isn't JSON");
    }
  }
  const version = versions.find((each) => Array.isArray(supported) && supported.includes(each));
  if (version === undefined) throw new Refused(400, `versions spoken here: ${versions.join(", ")}`);
  const here = new URL(request.url).pathname.replace(/\/$/, "");
  const { token, expiresAt } = await routes.issue();
  return Response.json({
    version,
    uuid: await routes.databaseId(),
    databaseId: await routes.databaseId(), // what denokv and Deno call it
    endpoints: [{ url: `${here}/kv-connect`, consistency: "strong" }],
    token,
    expiresAt: new Date(expiresAt).toISOString(),
  });
}

function protobuf(content: Bytes): Response {
  return new Response(content, { headers: { "content-type": "application/x-protobuf" } });
}

function refusal(fault: unknown): Response {
  if (fault instanceof Refused) return new Response(fault.message, { status: fault.status });
  console.error(fault);
  return new Response(fault instanceof Error ? fault.message : "it failed", { status: 500 });
}

/** Tokens for the data path, made from the access token: they stay good when the bridge is started again. */
class Routes {
  private readonly key: Promise<CryptoKey>;

  constructor(private readonly accessToken: string, private readonly lifetimeSeconds: number) {
    const raw = new TextEncoder().encode(accessToken);
    this.key = crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
  }

  async issue(): Promise<{ token: string; expiresAt: number }> {
    const expiresAt = Date.now() + this.lifetimeSeconds * 1000;
    return { token: `${expiresAt}.${(await this.sign(`token ${expiresAt}`)).toHex()}`, expiresAt };
  }

  async isGood(token: string): Promise<boolean> {
    const [expiresAt, signature] = token.split(".", 2);
    if (!/^[0-9a-f]{64}$/.test(signature ?? "") || !(Number(expiresAt) > Date.now())) return false;
    const signed = new TextEncoder().encode(`token ${expiresAt}`);
    return await crypto.subtle.verify("HMAC", await this.key, Uint8Array.fromHex(signature), signed);
  }

  async isAccessToken(token: string): Promise<boolean> {
    // By way of its signature, so that the comparison takes the same time whatever is wrong.
    const signature = await this.sign(this.accessToken);
    return await crypto.subtle.verify("HMAC", await this.key, signature, new TextEncoder().encode(token));
  }

  async databaseId(): Promise<string> {
    const hex = (await this.sign("database")).toHex();
    return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join("-");
  }

  private async sign(text: string): Promise<Bytes> {
    return new Uint8Array(await crypto.subtle.sign("HMAC", await this.key, new TextEncoder().encode(text)));
  }
}

if (import.meta.main) {
  const options: Record<string, string> = { host: "127.0.0.1", port: "4512", path: "", lifetime: "3600" };
  for (let at = 0; at < Deno.args.length; at += 2) {
    const name = Deno.args[at].replace(/^--/, "");
    if (!(name in options) || Deno.args[at + 1] === undefined) {
      console.error("usage: deno_bridge.ts [--path FILE] [--host 127.0.0.1] [--port 4512] [--lifetime SECONDS]");
      console.error("The access token is taken from the environment: DENO_KV_ACCESS_TOKEN.");
      Deno.exit(2);
    }
    options[name] = Deno.args[at + 1];
  }
  const token = Deno.env.get("DENO_KV_ACCESS_TOKEN") ?? "";
  const kv = await Deno.openKv(options.path || undefined);
  const handler = serveKv(kv, { token, lifetimeSeconds: Number(options.lifetime) });
  const server = Deno.serve({ hostname: options.host, port: Number(options.port) }, handler);
  Deno.addSignalListener("SIGTERM", () => server.shutdown());
  Deno.addSignalListener("SIGINT", () => server.shutdown());
  await server.finished;
  kv.close();
}
