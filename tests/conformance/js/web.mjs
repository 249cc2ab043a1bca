/*
 * The cases of gRPC's test service that web clients run, with the gRPC-Web client of Connect for Node.
 *
 *   web.mjs DESCRIPTORS [--ca F] tcp:HOST:PORT|tls:HOST:PORT     prints "CASE pass" or "CASE FAIL why"
 *
 * DESCRIPTORS is the serialised FileDescriptorSet of the service.
 */

import assert from "node:assert/strict";
import fs from "node:fs";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-node";

const SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n";
const SIZES = [31415, 9, 2653, 58979];
const AN_HOUR = { size: 1, intervalUs: 2000000000 };

const words = process.argv.slice(2);
const descriptors = fromBinary(FileDescriptorSetSchema, fs.readFileSync(words.shift()));
const ca = words[0] === "--ca" ? fs.readFileSync(words.splice(0, 2)[1]) : undefined;
const [kind, name, port] = words[0].split(":");

const service = createFileRegistry(descriptors).getService("grpc.testing.TestService");
const client = createClient(service, createGrpcWebTransport({
  baseUrl: `${kind === "tls" ? "https" : "http"}://${name}:${port}`,
  httpVersion: "2",
  nodeOptions: ca && { ca },
}));

async function codeOf(promise) {
  try {
    await promise;
  } catch (error) {
    return ConnectError.from(error).code;
  }
  return null;
}

async function count(stream, onMessage = () => {}) {
  const sizes = [];
  for await (const message of stream) {
    sizes.push(message.payload.body.length);
    onMessage();
  }
  return sizes;
}

async function status(message) {
  try {
    await client.unaryCall({ responseStatus: { code: 2, message } });
    assert.fail("no error");
  } catch (error) {
    assert.equal(error.code, Code.Unknown);
    assert.equal(error.rawMessage, message);
  }
}

const cases = {
  empty_unary: () => client.emptyCall({}),
  large_unary: async () => {
    const body = new Uint8Array(271828);
    const answer = await client.unaryCall({ responseSize: 314159, payload: { body } });
    assert.equal(answer.payload.body.length, 314159);
  },
  server_streaming: async () => {
    const responseParameters = SIZES.map((size) => ({ size }));
    assert.deepEqual(await count(client.streamingOutputCall({ responseParameters })), SIZES);
  },
  custom_metadata: async () => {
    const seen = {};
    await client.unaryCall({ responseSize: 1 }, {
      headers: { "x-grpc-test-echo-initial": "value", "x-grpc-test-echo-trailing-bin": "q6ur" },
      onHeader: (headers) => { seen.initial = headers.get("x-grpc-test-echo-initial"); },
      onTrailer: (trailers) => { seen.trailing = trailers.get("x-grpc-test-echo-trailing-bin"); },
    });
    assert.deepEqual(seen, { initial: "value", trailing: "q6ur" });
  },
  status_code_and_message: () => status("test status message"),
  special_status_message: () => status(SPECIAL),
  client_streaming_is_refused: async () => {
    const code = await codeOf(client.streamingInputCall((async function* one() { yield {}; })()));
    assert.equal(code, Code.Unimplemented);
  },
  timeout_on_sleeping_server: async () => {
    const stream = client.streamingOutputCall({ responseParameters: [AN_HOUR] }, { timeoutMs: 50 });
    assert.equal(await codeOf(count(stream)), Code.DeadlineExceeded);
  },
  cancel_after_first_response: async () => {
    const abort = new AbortController();
    const stream = client.streamingOutputCall({ responseParameters: [{ size: 1 }, AN_HOUR] },
      { signal: abort.signal });
    assert.equal(await codeOf(count(stream, () => abort.abort())), Code.Canceled);
  },
};

let failed = false;
for (const [title, run] of Object.entries(cases)) {
  try {
    await run();
    console.log(`${title} pass`);
  } catch (error) {
    failed = true;
    console.log(`${title} FAIL ${String(error.stack).replaceAll("\n", " | ")}`);
  }
}
process.exit(failed ? 1 : 0);
