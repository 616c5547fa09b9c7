// Bodies of requests and responses.
//
// A body is bytes. A stream is made of them only if a script reads `body`, and a script may pass a stream itself. So
// reading, recording and sending never depend on the npm code of streams unless the script uses streams.

import { JSONParse, TypeError, Uint8Array, TypedArrayPrototypeGetToStringTag, newList } from '../primordials.js';
import { blobBytes, blobFrom, blobType, isBlob } from '../web/blob.js';
import { utf8Decode, utf8Encode } from '../web/encoding.js';
import { formDataEntries, formDataFrom, isFormData } from '../web/form_data.js';
import { concatBytes, copyBytes, isBufferSource, isObject, toArrayBuffer, toUSVString } from '../web/idl.js';
import { deferred, promiseOf, react } from '../web/promises.js';
import { isSearchParams, parseForm, searchParamsText } from '../web/url_search_params.js';
import { parseMediaType } from './media_type.js';
import { decodeMultipart, encodeMultipart } from './multipart.js';
import * as streams from './streams.js';

let ops;
export function connectBody(nativeOps) { ops = nativeOps; }

/** Makes a body of either `bytes` (Uint8Array) or `stream`. `used` is true once it was read. */
const makeBody = (bytes, stream) => ({ __proto__: null, bytes, stream, used: false });

/** Converts any value that `fetch` accepts as a body to `{ body, type }`, where `type` is its content type or null. */
export function extractBody(value) {
  const of = (bytes, type) => ({ __proto__: null, body: makeBody(bytes, undefined), type });
  if (isObject(value)) {
    if (isBlob(value)) return of(blobBytes(value), blobType(value) === '' ? null : blobType(value));
    if (isBufferSource(value)) return of(copyBytes(value, 'body'), null);
    if (isFormData(value)) {
      const { bytes, boundary } = encodeMultipart(formDataEntries(value), ops.randomBytes);
      return of(bytes, `multipart/form-data; boundary=${boundary}`);
    }
    if (isSearchParams(value)) {
      return of(utf8Encode(searchParamsText(value)), 'application/x-www-form-urlencoded;charset=UTF-8');
    }
    if (streams.isReadableStream(value)) {
      if (streams.isDisturbed(value) || streams.isLocked(value)) {
        throw new TypeError('The body is a stream that was read or is locked.');
      }
      return { __proto__: null, body: makeBody(undefined, value), type: null };
    }
  }
  return of(utf8Encode(toUSVString(value)), 'text/plain;charset=UTF-8');
}

export const bodyFromBytes = (bytes) => makeBody(bytes, undefined);

export function isUsed(body) {
  return body !== null && (body.used || (body.stream !== undefined && streams.isDisturbed(body.stream)));
}

export const isLocked = (body) => body !== null && body.stream !== undefined && streams.isLocked(body.stream);

/** Returns the stream that scripts see as `body`. */
export function streamOf(body) {
  if (body === null) return null;
  if (body.stream === undefined) {
    body.stream = streams.fromBytes(body.bytes);
    if (body.used) streams.disturb(body.stream);
  }
  return body.stream;
}

/** Splits a body in two: the given one continues, and the returned one is for the clone. */
export function cloneBody(body) {
  if (body === null) return null;
  if (body.bytes !== undefined) {
    // A stream that a script has read as `body` stays with the original. Both have the same bytes.
    return makeBody(body.bytes, undefined);
  }
  const branches = streams.tee(body.stream);
  body.stream = branches[0];
  return makeBody(undefined, branches[1]);
}

/** Moves a body to a new owner and marks the old one as used. */
export function takeBody(body) {
  if (body === null) return null;
  const taken = makeBody(body.bytes, body.bytes === undefined ? streams.proxy(body.stream) : undefined);
  body.used = true;
  if (body.bytes !== undefined && body.stream !== undefined) streams.disturb(body.stream);
  return taken;
}

/** Returns a promise of all bytes. */
export function readAll(body) {
  if (body === null) return promiseOf(() => new Uint8Array(0));
  body.used = true;
  if (body.bytes !== undefined) {
    if (body.stream !== undefined) streams.disturb(body.stream);
    return promiseOf(() => body.bytes);
  }
  const { promise, resolve, reject } = deferred();
  const chunks = newList();
  streams.readChunks(body.stream, (chunk) => {
    if (!isObject(chunk) || TypedArrayPrototypeGetToStringTag(chunk) !== 'Uint8Array') {
      throw new TypeError('The body is a stream with a chunk that is not a Uint8Array.');
    }
    chunks[chunks.length] = copyBytes(chunk, 'body');
  }, () => resolve(concatBytes(chunks)), reject);
  return promise;
}

/** Reads `body` once and converts its bytes with `convert`. */
function consume(body, convert) {
  return promiseOf(() => {
    if (isUsed(body)) throw new TypeError('Body is unusable: Body has already been read');
    if (isLocked(body)) throw new TypeError('Body is unusable: its stream is locked');
    if (body !== null && body.bytes !== undefined) {
      readAll(body);
      return convert(body.bytes);
    }
    if (body === null) return convert(new Uint8Array(0));
    return react(readAll(body), convert);
  });
}

function toFormData(bytes, contentType) {
  const type = parseMediaType(contentType);
  if (type?.essence === 'multipart/form-data' && type.parameters.boundary !== undefined) {
    return formDataFrom(decodeMultipart(bytes, type.parameters.boundary));
  }
  if (type?.essence === 'application/x-www-form-urlencoded') return formDataFrom(parseForm(utf8Decode(bytes)));
  throw new TypeError(`The content type is ${contentType === null ? 'missing' : `"${contentType}"`}, not that of form data.`);
}

/** Returns the content type as the type of a Blob. */
const blobTypeOf = (contentType) => (contentType === null ? '' : contentType);

/** Makes the body readers of a class. `of(instance)` returns `{ body, contentType }`. */
export function bodyReaders(of) {
  const read = (instance, convert) => promiseOf(() => {
    const { body, contentType } = of(instance);
    return consume(body, (bytes) => convert(bytes, contentType));
  });
  return {
    arrayBuffer: (instance) => read(instance, (bytes) => toArrayBuffer(copyBytes(bytes))),
    blob: (instance) => read(instance, (bytes, type) => blobFrom(bytes, blobTypeOf(type))),
    bytes: (instance) => read(instance, (bytes) => copyBytes(bytes)),
    formData: (instance) => read(instance, toFormData),
    json: (instance) => read(instance, (bytes) => JSONParse(utf8Decode(bytes))),
    text: (instance) => read(instance, (bytes) => utf8Decode(bytes)),
  };
}
