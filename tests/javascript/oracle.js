// Says what JavaScript itself makes of values: reads [[question, value as JSON], …] from stdin, writes the answers.
const { readFileSync, writeFileSync } = require("node:fs");

const isNothing = (value) => value === undefined || value === null;
const looksLikeADate = /^(\d{4}-\d{2}-\d{2}|\d{2}\/\d{2}\/\d{4}|\d{2}-\d{2}-\d{4}|\d{8})$/;
const orElse = (read, otherwise) => {
  try {
    return read();
  } catch {
    return otherwise;
  }
};
const dateOf = (value) => new Date(value);

const ANSWERS = {
  text: (value) => String(value),
  json: (value) => JSON.stringify(value),
  number: (value) => Number(value),
  parseInt: (value) => parseInt(value, 10),
  parseFloat: (value) => parseFloat(value),
  truthy: (value) => Boolean(value),
  trimmed: (value) => String(value).trim(),
  upper: (value) => String(value).toUpperCase(),
  lower: (value) => String(value).toLowerCase(),
  milliseconds: (value) => dateOf(value).getTime(),
  dateText: (value) => String(dateOf(value)).replace(/ \(.*/, ""),
  readJson: (value) => orElse(() => JSON.stringify(JSON.parse(value)), null),
  "sdk.parseInt": (value) => parseInt(value, 10) || (Object.is(parseInt(value, 10), -0) ? -0 : 0),
  "sdk.parseFloat": (value) => parseFloat(value) || (Object.is(parseFloat(value), -0) ? -0 : 0),
  "sdk.toString": (value) => (isNothing(value) ? "" : String(value)),
  "sdk.parseJson": (value) => (typeof value === "string" ? orElse(() => JSON.parse(value), value) : value),
  "sdk.formatDate": (value) => {
    if (!value) return value;
    if (typeof value !== "string") return String(value);
    return isNaN(dateOf(value)) ? value : dateOf(value).toISOString();
  },
  "sdk.formatDateShort": (value) =>
    !value || isNaN(dateOf(value)) ? value : dateOf(value).toISOString().split("T")[0],
  "sdk.parseDate": (value) =>
    !isNaN(dateOf(value)) || (typeof value === "string" && looksLikeADate.test(value)) ? dateOf(value) : null,
};

const marked = (value) => {
  if (value instanceof Date) {
    return isNaN(value) ? { $js: "invalid-date" } : { $js: "date", iso: value.toISOString() };
  }
  if (typeof value === "number") {
    if (Object.is(value, -0)) return { $js: "-0" };
    return Number.isFinite(value) ? value : { $js: String(value) };
  }
  if (Array.isArray(value)) return value.map(marked);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, marked(each)]));
  }
  return value;
};

const questions = JSON.parse(readFileSync(0, "utf8"));
writeFileSync(1, JSON.stringify(questions.map(([name, json]) => marked(ANSWERS[name](JSON.parse(json))))));
