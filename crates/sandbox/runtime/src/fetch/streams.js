// Streams from npm (web-streams-polyfill). Only this file depends on the package.

import {
  ByteLengthQueuingStrategy, CountQueuingStrategy, ReadableByteStreamController, ReadableStream,
  ReadableStreamBYOBReader, ReadableStreamBYOBRequest, ReadableStreamDefaultController, ReadableStreamDefaultReader,
  TransformStream, TransformStreamDefaultController, WritableStream, WritableStreamDefaultController,
  WritableStreamDefaultWriter,
} from 'web-streams-polyfill';
import {
  PromisePrototypeThen, TypedArrayPrototypeGetByteLength, WeakMap,
  WeakMapPrototypeHas, WeakMapPrototypeSet, getter, uncurryThis,
} from '../primordials.js';
import { copyBytes } from '../web/idl.js';

export const interfaces = {
  __proto__: null,
  ByteLengthQueuingStrategy, CountQueuingStrategy, ReadableByteStreamController, ReadableStream,
  ReadableStreamBYOBReader, ReadableStreamBYOBRequest, ReadableStreamDefaultController, ReadableStreamDefaultReader,
  TransformStream, TransformStreamDefaultController, WritableStream, WritableStreamDefaultController,
  WritableStreamDefaultWriter,
};

// Captured, so that a script that replaces a method affects only itself.
const getLocked = getter(ReadableStream.prototype, 'locked');
const getReader = uncurryThis(ReadableStream.prototype.getReader);
const teeStream = uncurryThis(ReadableStream.prototype.tee);
const pipeThrough = uncurryThis(ReadableStream.prototype.pipeThrough);
const read = uncurryThis(ReadableStreamDefaultReader.prototype.read);
const releaseLock = uncurryThis(ReadableStreamDefaultReader.prototype.releaseLock);
const cancel = uncurryThis(ReadableStream.prototype.cancel);

export function isReadableStream(value) {
  try {
    getLocked(value);
    return true;
  } catch {
    return false;
  }
}

export const isLocked = (stream) => getLocked(stream);

/** Returns whether a stream was read. The polyfill's flag is a private property without a public getter. */
export const isDisturbed = (stream) => stream._disturbed === true || WeakMapPrototypeHas(disturbed, stream);

const disturbed = new WeakMap();

/** Marks a stream as read and cancels it. */
export function disturb(stream) {
  WeakMapPrototypeSet(disturbed, stream, true);
  if (!getLocked(stream)) cancel(stream);
}

/** Makes a byte stream of one chunk, which is copied when it is read. */
export function fromBytes(bytes) {
  return new ReadableStream({
    type: 'bytes',
    start(controller) {
      if (TypedArrayPrototypeGetByteLength(bytes) === 0) controller.close();
    },
    pull(controller) {
      controller.enqueue(copyBytes(bytes));
      controller.close();
    },
  }, { highWaterMark: 0 });
}

export const tee = (stream) => teeStream(stream);

/** Makes a stream that continues at the position of `stream`, which gets locked. */
export const proxy = (stream) => pipeThrough(stream, new TransformStream());

/** Reads a stream to its end: calls `onChunk` for each value, then `onEnd`, or `onError` with the error. */
export function readChunks(stream, onChunk, onEnd, onError) {
  const reader = getReader(stream);
  const step = (result) => {
    if (result.done) {
      releaseLock(reader);
      onEnd();
      return;
    }
    try {
      onChunk(result.value);
    } catch (error) {
      onError(error);
      return;
    }
    next();
  };
  const next = () => PromisePrototypeThen(read(reader), step, onError);
  next();
}
