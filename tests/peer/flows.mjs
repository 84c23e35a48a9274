// The TypeScript SDK's documented flows against a sandbox: FC_SDK=… node flows.mjs BASE_URL. Prints one JSON object.
import { createRequire } from "node:module";
import http from "node:http";

const require = createRequire(`${process.env.FC_SDK}/package.json`);
const sdk = require("@fluentcommerce/fc-connect-sdk");
const base = process.argv[2];
const silent = { debug() {}, info() {}, warn() {}, error() {}, log() {} };
const told = {};

const client = await sdk.createClient({
  config: { baseUrl: base, clientId: "tests", clientSecret: "tests-secret", username: "u", password: "p", retailerId: "1" },
  logger: silent, log: silent,
});

const me = await client.graphql({ query: "query { me { ref username } }" });
told.me = me.data.me.ref;

// Job, batch, both statuses.
const job = await client.createJob({ name: "flows", retailerId: "1" });
const entities = [1, 2, 3].map(n => ({
  locationRef: "WH-SYD", skuRef: `FLOW-${n}`, qty: n, type: "LAST_ON_HAND", status: "ACTIVE", retailerId: 1,
}));
const batch = await client.sendBatch(job.id, {
  action: "UPSERT", entityType: "INVENTORY", source: "WMS", event: "InventoryChanged", entities,
});
let status = await client.getBatchStatus(job.id, batch.id);
for (let n = 0; n < 100 && status.status !== "COMPLETE"; n++) {
  await new Promise(done => setTimeout(done, 20));
  status = await client.getBatchStatus(job.id, batch.id);
}
told.batch = { status: status.status, codes: status.results.map(each => each.responseCode) };
told.job = (await client.getJobStatus(job.id)).status;
told.results = (await client.getJobResults(job.id)).totalBatches;

// The stock that came by the batch, page by page: forward with a date filter, and backward.
const STOCK = "edges { cursor node { ref productRef onHand } } pageInfo { hasNextPage hasPreviousPage }";
const forward = await client.graphql({
  query: `query Stock($first: Int!, $after: String, $refs: [String!], $since: DateTime) {
    inventoryPositions(first: $first, after: $after, productRef: $refs, updatedOn: { from: $since }) { ${STOCK} } }`,
  variables: { first: 2, refs: ["FLOW-1", "FLOW-2", "FLOW-3"], since: "2020-01-01T00:00:00Z" },
});
told.forward = {
  stock: forward.data.inventoryPositions.edges.map(each => [each.node.productRef, each.node.onHand]).sort(),
  pages: forward.extensions.autoPagination.totalPages,
  truncated: forward.extensions.autoPagination.truncated,
};
const backward = await client.graphql({
  query: `query Stock($last: Int!, $before: String) {
    inventoryPositions(last: $last, before: $before) { ${STOCK} } }`,
  variables: { last: 2 },
});
told.backward = { count: backward.data.inventoryPositions.edges.length, pages: backward.extensions.autoPagination.totalPages };

// A mutation, a repeated one, and several in one request.
const NEW = `mutation New($input: CreateCategoryInput!) { createCategory(input: $input) { id ref status } }`;
const input = { ref: "FLOWS", catalogue: { ref: "DEFAULT:1" }, type: "DEFAULT", name: "Flows" };
told.created = (await client.graphql({ query: NEW, variables: { input } })).data.createCategory.ref;
try {
  await client.graphql({ query: NEW, variables: { input } });
} catch (error) {
  told.repeated = { kind: error.constructor.name, code: error.graphqlErrors[0].extensions.code };
}
const many = await client.graphql({
  query: `mutation Many($input1: CreateCategoryInput!, $input2: CreateCategoryInput!) {
    createCategory1: createCategory(input: $input1) { ref }
    createCategory2: createCategory(input: $input2) { ref } }`,
  variables: { input1: input, input2: { ...input, ref: "FLOWS-2" } },
  errorHandling: "partial",
});
told.many = { second: many.data.createCategory2?.ref ?? null, failed: many.errors.map(each => each.path[0]) };

// Events: sync, async, found again.
const event = {
  name: "FlowEvent", entityType: "ORDER", entityRef: "F-1", rootEntityType: "ORDER", rootEntityRef: "F-1", retailerId: "1",
};
told.async = (await client.sendEvent(event, "async")).success;
told.sync = (await client.sendEvent(event, "sync")).eventStatus;
const found = await client.getEvents({ "context.entityRef": "F-1", count: 10 });
told.found = found.results.length;
told.one = (await client.getEventById(found.results[0].id)).name;

// A webhook that the sandbox signed, checked by the SDK; and one that was changed on its way.
const key = await (await fetch(`${base}/_sandbox/webhooks/key.b64`)).text();
told.webhook = await new Promise((done, failed) => {
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on("data", part => parts.push(part));
    request.on("end", async () => {
      const body = Buffer.concat(parts).toString("utf8");
      const service = new sdk.WebhookValidationService({ algorithm: "SHA512withRSA", strictValidation: false }, silent);
      const genuine = await service.validateWebhook(body, request.headers, key);
      const changed = await service.validateWebhook(`${body} `, request.headers, key);
      response.end("ok");
      server.close();
      done({ genuine: genuine.isValid, changed: changed.isValid });
    });
  });
  server.listen(0, "127.0.0.1", async () => {
    const url = `http://127.0.0.1:${server.address().port}/hook`;
    const hooked = await fetch(`${base}/_sandbox/webhooks`, {
      method: "POST", body: JSON.stringify({ name: "FlowHook", url }),
    });
    if (!hooked.ok) failed(new Error(`the sandbox takes no webhook: ${hooked.status}`));
    await client.sendEvent({ ...event, name: "FlowHook" }, "async").catch(failed);
  });
});

console.log(JSON.stringify(told));
process.exit(0);
