"use strict";
/*
 * gRPC's test service with grpc-js.
 *
 *   interop.js PROTO server [--cert F --key F] ADDRESS...     prints "listening ADDRESS" for each
 *   interop.js PROTO client [--ca F] ADDRESS CASE...          prints "CASE pass" or "CASE FAIL why"
 *   interop.js PROTO list
 *
 * An address is unix:PATH, tcp:HOST:PORT or tls:HOST:PORT.
 */

const assert = require("node:assert/strict");
const fs = require("node:fs");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const SECONDS = 60;
const LARGE_REQUEST = 271828;
const LARGE_RESPONSE = 314159;
const PING_PONG = [[27182, 31415], [8, 9], [1828, 2653], [45904, 58979]];
const INITIAL = "x-grpc-test-echo-initial";
const TRAILING = "x-grpc-test-echo-trailing-bin";
const SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n";

const TestService = grpc.loadPackageDefinition(
  loader.loadSync(process.argv[2], { keepCase: true })).grpc.testing.TestService;

/* --- the server --- */

function initial(call) {
  const metadata = new grpc.Metadata();
  for (const value of call.metadata.get(INITIAL)) metadata.add(INITIAL, value);
  call.sendMetadata(metadata);
}

function trailing(call) {
  const metadata = new grpc.Metadata();
  for (const value of call.metadata.get(TRAILING)) metadata.add(TRAILING, value);
  return metadata;
}

function body(size) {
  return { payload: { body: Buffer.alloc(size) } };
}

function asked(request) {
  const status = request.response_status;
  return status && status.code ? { code: status.code, details: status.message } : null;
}

async function answer(call, request) {
  for (const wanted of request.response_parameters || []) {
    if (wanted.interval_us) await new Promise((done) => setTimeout(done, wanted.interval_us / 1000));
    call.write(body(wanted.size || 0));
  }
}

function unary(call, done) {
  initial(call);
  const error = asked(call.request);
  if (error) done(error);
  else done(null, body(call.request.response_size || 0), trailing(call));
}

async function streamingOutput(call) {
  initial(call);
  await answer(call, call.request);
  call.end(trailing(call));
}

function streamingInput(call, done) {
  let size = 0;
  initial(call);
  call.on("data", (request) => { size += request.payload ? request.payload.body.length : 0; });
  call.on("error", () => {});
  call.on("end", () => done(null, { aggregated_payload_size: size }, trailing(call)));
}

/* Answers at once, one request after the other; `save` keeps them back until the half-close. */
function duplex(save) {
  return (call) => {
    let queue = Promise.resolve();
    const requests = [];
    let failed = false;
    initial(call);
    call.on("error", () => {});
    call.on("data", (request) => {
      const error = asked(request);
      if (error && !failed) call.emit("error", error);
      failed = failed || error !== null;
      if (save) requests.push(request);
      else if (!failed) queue = queue.then(() => answer(call, request));
    });
    call.on("end", async () => {
      await queue;
      for (const request of requests) await answer(call, request);
      if (!failed) call.end(trailing(call));
    });
  };
}

const handlers = {
  EmptyCall: (call, done) => { initial(call); done(null, {}, trailing(call)); },
  UnaryCall: unary,
  CacheableUnaryCall: unary,
  StreamingOutputCall: streamingOutput,
  StreamingInputCall: streamingInput,
  FullDuplexCall: duplex(false),
  HalfDuplexCall: duplex(true),
};

function options(words, names) {
  const found = {};
  while (words.length > 1 && names.includes(words[0])) {
    found[words[0]] = words[1];
    words.splice(0, 2);
  }
  return found;
}

async function serve(words) {
  const files = options(words, ["--cert", "--key"]);
  const server = new grpc.Server();
  server.addService(TestService.service, handlers);
  for (const address of words) {
    const kind = address.slice(0, address.indexOf(":"));
    const where = kind === "unix" ? address : address.slice(address.indexOf(":") + 1);
    const credentials = kind !== "tls" ? grpc.ServerCredentials.createInsecure()
      : grpc.ServerCredentials.createSsl(null, [{
        cert_chain: fs.readFileSync(files["--cert"]),
        private_key: fs.readFileSync(files["--key"]),
      }]);
    const port = await new Promise((done, fail) => server.bindAsync(
      where, credentials, (error, bound) => (error ? fail(error) : done(bound))));
    console.log(`listening ${kind}:${kind === "unix" ? where : `127.0.0.1:${port}`}`);
  }
  process.on("SIGTERM", () => { server.forceShutdown(); process.exit(0); });
}

/* --- the client --- */

const deadline = (seconds = SECONDS) => ({ deadline: Date.now() + seconds * 1000 });
const payload = (size) => ({ body: Buffer.alloc(size) });
const large = () => ({ response_size: LARGE_RESPONSE, payload: payload(LARGE_REQUEST) });
const ask = (size, ...sizes) => ({
  payload: payload(size),
  response_parameters: sizes.map((n) => ({ size: n })),
});

/* A unary or client-streaming call: reply, metadata, trailers; an error has code and details. */
function call(client, method, request, metadata = new grpc.Metadata()) {
  return new Promise((done, fail) => {
    const result = {};
    const started = client[method](request, metadata, deadline(), (error, reply) => {
      result.reply = reply;
      result.error = error;
    });
    started.on("metadata", (m) => { result.metadata = m; });
    started.on("status", (status) => {
      result.trailers = status.metadata;
      if (status.code) fail(result.error || status);
      else done(result);
    });
  });
}

/* The whole of a stream: sizes of its messages, metadata, trailers. */
function collect(stream) {
  return new Promise((done, fail) => {
    const result = { sizes: [] };
    stream.on("metadata", (m) => { result.metadata = m; });
    stream.on("data", (reply) => result.sizes.push(reply.payload.body.length));
    stream.on("error", fail);
    stream.on("status", (status) => { result.trailers = status.metadata; if (!status.code) done(result); });
  });
}

const next = (stream) => new Promise((done, fail) => {
  stream.once("data", (reply) => done(reply.payload.body.length));
  stream.once("error", fail);
});

const failure = async (promise) => promise.then(
  () => assert.fail("the call succeeded"), (error) => error);

function expectEcho(result) {
  assert.deepEqual(result.metadata.get(INITIAL), ["test_initial_metadata_value"]);
  assert.deepEqual(result.trailers.get(TRAILING), [Buffer.from("ababab", "hex")]);
}

async function expectStatus(promise, code, details) {
  const error = await failure(promise);
  assert.deepEqual([error.code, error.details], [code, details]);
}

async function unimplemented(client, path) {
  const same = (bytes) => bytes;
  const error = await failure(new Promise((done, fail) => client.makeUnaryRequest(
    path, same, same, Buffer.alloc(0), new grpc.Metadata(), deadline(),
    (e, reply) => (e ? fail(e) : done(reply)))));
  assert.equal(error.code, grpc.status.UNIMPLEMENTED);
  await cases.empty_unary(client);
}

async function largeUnary(client) {
  const { reply } = await call(client, "UnaryCall", large());
  assert.equal(reply.payload.body.length, LARGE_RESPONSE);
}

const cases = {
  empty_unary: (client) => call(client, "EmptyCall", {}),
  large_unary: largeUnary,
  client_streaming: (client) => new Promise((done, fail) => {
    const stream = client.StreamingInputCall(new grpc.Metadata(), deadline(), (error, reply) => {
      if (error) fail(error);
      else if (reply.aggregated_payload_size !== 74922) fail(new Error(JSON.stringify(reply)));
      else done();
    });
    for (const size of [27182, 8, 1828, 45904]) stream.write({ payload: payload(size) });
    stream.end();
  }),
  server_streaming: async (client) => {
    const sizes = [31415, 9, 2653, 58979];
    const result = await collect(client.StreamingOutputCall(ask(0, ...sizes), deadline()));
    assert.deepEqual(result.sizes, sizes);
  },
  ping_pong: async (client) => {
    const stream = client.FullDuplexCall(deadline());
    for (const [request, reply] of PING_PONG) {
      stream.write(ask(request, reply));
      assert.equal(await next(stream), reply);
    }
    stream.end();
    assert.deepEqual((await collect(stream)).sizes, []);
  },
  half_duplex: async (client) => {
    const stream = client.HalfDuplexCall(deadline());
    for (const pair of PING_PONG) stream.write(ask(...pair));
    stream.end();
    assert.deepEqual((await collect(stream)).sizes, PING_PONG.map((pair) => pair[1]));
  },
  empty_stream: async (client) => {
    const stream = client.FullDuplexCall(deadline());
    stream.end();
    assert.deepEqual((await collect(stream)).sizes, []);
  },
  client_compressed_unary: async (client) => {
    const request = { ...large(), expect_compressed: { value: true } };
    assert.equal((await failure(call(client, "UnaryCall", request))).code,
      grpc.status.INVALID_ARGUMENT);
    await call(client.compressing, "UnaryCall", request);
    await call(client, "UnaryCall", { ...request, expect_compressed: { value: false } });
  },
  server_compressed_unary: async (client) => {
    for (const value of [true, false]) {
      const request = { ...large(), response_compressed: { value } };
      const { reply } = await call(client, "UnaryCall", request);
      assert.equal(reply.payload.body.length, LARGE_RESPONSE);
    }
  },
  server_compressed_streaming: async (client) => {
    const request = ask(0, 31415, 92653);
    request.response_parameters[0].compressed = { value: true };
    const result = await collect(client.StreamingOutputCall(request, deadline()));
    assert.deepEqual(result.sizes, [31415, 92653]);
  },
  custom_metadata: async (client) => {
    const metadata = new grpc.Metadata();
    metadata.add(INITIAL, "test_initial_metadata_value");
    metadata.add(TRAILING, Buffer.from("ababab", "hex"));
    expectEcho(await call(client, "UnaryCall", large(), metadata));
    const stream = client.FullDuplexCall(metadata, deadline());
    stream.write(ask(LARGE_REQUEST, LARGE_RESPONSE));
    stream.end();
    expectEcho(await collect(stream));
  },
  status_code_and_message: async (client) => {
    const status = { code: 2, message: "test status message" };
    await expectStatus(call(client, "UnaryCall", { response_status: status }), 2, status.message);
    const stream = client.FullDuplexCall(deadline());
    stream.write({ response_status: status });
    await expectStatus(collect(stream), 2, status.message);
  },
  special_status_message: (client) => expectStatus(
    call(client, "UnaryCall", { response_status: { code: 2, message: SPECIAL } }), 2, SPECIAL),
  unimplemented_method: (client) => unimplemented(
    client, "/grpc.testing.TestService/UnimplementedCall"),
  unimplemented_service: (client) => unimplemented(
    client, "/grpc.testing.UnimplementedService/UnimplementedCall"),
  cancel_after_begin: async (client) => {
    const error = await failure(new Promise((done, fail) => {
      const stream = client.StreamingInputCall(
        new grpc.Metadata(), deadline(), (e, reply) => (e ? fail(e) : done(reply)));
      stream.cancel();
    }));
    assert.equal(error.code, grpc.status.CANCELLED);
  },
  cancel_after_first_response: async (client) => {
    const stream = client.FullDuplexCall(deadline());
    stream.write(ask(27182, 31415));
    assert.equal(await next(stream), 31415);
    stream.cancel();
    assert.equal((await failure(collect(stream))).code, grpc.status.CANCELLED);
    await cases.empty_unary(client);
  },
  timeout_on_sleeping_server: async (client) => {
    await cases.empty_unary(client);
    const stream = client.FullDuplexCall(deadline(0.001));
    stream.write(ask(27182));
    assert.equal((await failure(collect(stream))).code, grpc.status.DEADLINE_EXCEEDED);
  },
  concurrent_large_unary: (client) => Promise.all(
    Array.from({ length: 1000 }, () => largeUnary(client))),
};

async function run(words) {
  const files = options(words, ["--ca"]);
  const address = words.shift();
  const kind = address.slice(0, address.indexOf(":"));
  const where = kind === "unix" ? address : address.slice(address.indexOf(":") + 1);
  const credentials = kind === "tls"
    ? grpc.credentials.createSsl(fs.readFileSync(files["--ca"])) : grpc.credentials.createInsecure();
  const settings = kind === "tls" ? { "grpc.ssl_target_name_override": "localhost" } : {};
  let failed = 0;
  for (const name of words) {
    const client = new TestService(where, credentials, settings);
    client.compressing = new TestService(where, credentials, {
      ...settings, "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip });
    try {
      await cases[name](client);
      console.log(`${name} pass`);
    } catch (error) {
      failed = 1;
      console.log(`${name} FAIL ${String(error.stack || error).replaceAll("\n", " ")}`);
    }
    client.compressing.close();
    client.close();
  }
  process.exit(failed);
}

const [mode, ...words] = process.argv.slice(3);
if (mode === "server") serve(words);
else if (mode === "client") run(words);
else console.log(Object.keys(cases).join("\n"));
