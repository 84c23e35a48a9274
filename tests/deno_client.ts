// What a program sees of a store through `Deno.openKv`: the same, whether Deno opens a file or connects to the bridge.
// Prints one line for each thing it saw; versionstamps as the order in which they first appeared.

const kv = await Deno.openKv(Deno.args[0]);
const seen: string[] = [];

function shown(value: unknown): string {
  return Deno.inspect(value, { depth: 10, colors: false, breakLength: 1000, iterableLimit: 1000 })
    .replace(/[0-9a-f]{20}/g, (stamp) => {
      if (!seen.includes(stamp)) seen.push(stamp);
      return `<${seen.indexOf(stamp)}>`;
    });
}

async function tell(name: string, what: () => Promise<unknown>): Promise<void> {
  try {
    console.log(`${name}: ${shown(await what())}`);
  } catch (fault) {
    console.log(`${name}: fails with ${(fault as Error).name}`);
  }
}

async function keys(selector: Deno.KvListSelector, options?: Deno.KvListOptions): Promise<unknown> {
  return (await Array.fromAsync(kv.list(selector, options))).map((entry) => entry.key);
}

const parts: Deno.KvKeyPart[] = [
  ...[[], [0], [0, 255], [1], [255, 0]].map((bytes) => new Uint8Array(bytes)),
  ...["", "\0", "\0\0", "a", "a\0", "a\0b", "ab", "b", "é", "日本", "🙂"],
  ...[-Infinity, -1.5, -1, -0, 0, 1e-300, 1, 2, 1e300, Infinity],
  ...[-(2n ** 70n), -(2n ** 64n), -65536n, -256n, -255n, -1n, 0n, 1n, 255n, 256n, 2n ** 63n, 2n ** 64n, 2n ** 70n],
  ...[false, true],
];
const values: unknown[] = [
  null, undefined, true, 0, -1.5, 2n ** 80n, "", "ü\0🙂", [1, [2]], { a: { b: [] } }, new Uint8Array([0, 255]),
  new Date(0), new Map([["a", new Set([1])]]), /x/g, new Deno.KvU64(2n ** 64n - 1n), [undefined, , 3],
];

for (const part of [...parts].reverse()) await kv.set(["keys", part], null);
for (const part of parts) await kv.set(["keys", part, "below"], 1);
await tell("order", () => keys({ prefix: ["keys"] }));
await tell("reverse", () => keys({ prefix: ["keys"] }, { reverse: true }));
for (const part of parts) await tell(`below ${shown(part)}`, () => keys({ prefix: ["keys", part] }));
for (const part of parts) await tell(`from ${shown(part)}`, () => keys({ prefix: ["keys"], start: ["keys", part] }, { limit: 3 }));
for (const part of parts) await tell(`to ${shown(part)}`, () => keys({ prefix: ["keys"], end: ["keys", part] }, { limit: 3, reverse: true }));
await tell("between", () => keys({ start: ["keys", "a"], end: ["keys", "b"] }));
await tell("pages", () => keys({ prefix: ["keys"] }, { batchSize: 7 }));
await tell("reverse pages", () => keys({ prefix: ["keys"] }, { batchSize: 7, reverse: true }));
await tell("everything", () => keys({ prefix: [] }, { limit: 5 }));
await tell("cursor", async () => {
  const first = kv.list({ prefix: ["keys"] }, { limit: 4 });
  for await (const _ of first);
  return await keys({ prefix: ["keys"] }, { limit: 4, cursor: first.cursor });
});

for (const [number, value] of values.entries()) {
  await tell(`set ${shown(value)}`, () => kv.set(["values", number], value));
  await tell(`get ${shown(value)}`, () => kv.get(["values", number]));
}
await tell("absent", () => kv.get(["nothing"]));
await tell("many", () => kv.getMany([["values", 3], ["nothing"], ["values", 0]]));
await tell("delete", async () => [await kv.delete(["values", 0]), await kv.delete(["nothing"]), await kv.get(["values", 0])]);

const first = await kv.set(["checked"], 1);
await tell("check", () => kv.atomic().check({ key: ["checked"], versionstamp: first.versionstamp }).set(["checked"], 2).commit());
await tell("late check", () => kv.atomic().check({ key: ["checked"], versionstamp: first.versionstamp }).set(["checked"], 3).commit());
await tell("check for absence", () => kv.atomic().check({ key: ["new"], versionstamp: null }).set(["new"], 1).set(["checked"], 4).commit());
await tell("check for absence in vain", () => kv.atomic().check({ key: ["new"], versionstamp: null }).set(["checked"], 5).delete(["new"]).commit());
await tell("all or nothing", () => kv.getMany([["checked"], ["new"]]));
await tell("set and delete", () => kv.atomic().set(["x"], 1).delete(["x"]).set(["y"], 1).commit());
await tell("last of two", () => kv.getMany([["x"], ["y"]]));
await tell("sum", async () => {
  await kv.atomic().sum(["n"], 2n ** 63n).sum(["n"], 3n).max(["n"], 7n).commit();
  await kv.atomic().min(["m"], 7n).min(["m"], 5n).commit();
  return await kv.getMany([["n"], ["m"]]);
});
await tell("expiry", async () => {
  const stamp = (await kv.set(["expiring"], 1, { expireIn: 3_600_000 })).versionstamp;
  return (await kv.get(["expiring"])).versionstamp === stamp;
});
await tell("a value too large", () => kv.set(["large"], new Uint8Array(65_537)));
await tell("the largest value", async () => [(await kv.set(["large"], new Uint8Array(65_536))).ok, (await kv.get<Uint8Array>(["large"])).value?.length]);
await tell("a key too long", () => kv.set(["x".repeat(2050)], 1));
await tell("too much at once", () => {
  const write = kv.atomic();
  for (let n = 0; n < 14; n++) write.set(["much", n], new Uint8Array(60_000));
  return write.commit();
});
await tell("watch", async () => {
  const reader = kv.watch([["watched"], ["checked"]]).getReader();
  const before = await reader.read();
  await kv.set(["watched"], "seen");
  let after = await reader.read();
  while (after.value?.[0].versionstamp === null) after = await reader.read();
  await reader.cancel();
  return [before.value?.map((entry) => entry.value), after.value?.map((entry) => entry.value)];
});
kv.close();
