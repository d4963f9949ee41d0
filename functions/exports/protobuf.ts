/**
 * As much of protobuf's wire format (https://protobuf.dev/programming-guides/encoding) as ONNX files need: fields are written into byte arrays and
 * read back as views. It knows no message types; their field numbers stand where they are used.
 */

const utf8 = new TextEncoder();
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
/** Ten groups of seven bits hold an int64. */
const VARINT_MAX_BYTES = 10;

/** One byte array after the other, as one. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.byteLength;
  }
  return out;
}

/** A whole number; a negative one takes ten bytes, as int64 does. */
export function varint(value: number): Uint8Array {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    out.push(rest > 0n ? low | 128 : low);
  } while (rest > 0n);
  return Uint8Array.from(out);
}

export function intField(field: number, value: number): Uint8Array {
  return concat([varint((field << 3) | VARINT), varint(value)]);
}

/** The tag and the length that come before a field's bytes. */
export function bytesHeader(field: number, length: number): Uint8Array {
  return concat([varint((field << 3) | BYTES), varint(length)]);
}

export function bytesField(field: number, value: Uint8Array): Uint8Array {
  return concat([bytesHeader(field, value.byteLength), value]);
}

export function textField(field: number, value: string): Uint8Array {
  return bytesField(field, utf8.encode(value));
}

export function messageField(field: number, parts: readonly Uint8Array[]): Uint8Array {
  return bytesField(field, concat(parts));
}

export type Field = {
  readonly number: number;
  /** Of a length-delimited field; empty for numbers. */
  readonly bytes: Uint8Array;
  /** Of a varint; 0 for the others. */
  readonly value: number;
  /** The whole field, tag included. */
  readonly raw: Uint8Array;
};

/** The varint at `at`: its value and where it ends. Values above 2⁵³ lose their low bits; lengths and tags are far below. */
function readVarint(bytes: Uint8Array, at: number): { value: number; end: number } {
  let value = 0;
  for (let i = 0; i < VARINT_MAX_BYTES; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) throw new RangeError('a protobuf message ends inside a number');
    value += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) return { value, end: at + i + 1 };
  }
  throw new RangeError('a protobuf number has more than ten bytes');
}

/** Number of a tag's field, its wire type, and how many bytes of a number follow when it is no varint or byte array. */
export function splitTag(tag: number): { number: number; kind: 'varint' | 'bytes' | 'fixed'; fixedBytes: number } {
  const wire = tag % 8;
  const number = Math.floor(tag / 8);
  if (wire === VARINT) return { number, kind: 'varint', fixedBytes: 0 };
  if (wire === BYTES) return { number, kind: 'bytes', fixedBytes: 0 };
  if (wire === FIXED64 || wire === FIXED32) return { number, kind: 'fixed', fixedBytes: wire === FIXED64 ? 8 : 4 };
  throw new RangeError(`protobuf wire type ${wire} is not in use`);
}

/** The fields of a message in their order, as views. Throws RangeError when the bytes are no message. */
export function* fieldsOf(message: Uint8Array): Generator<Field> {
  const none = message.subarray(0, 0);
  let at = 0;
  while (at < message.length) {
    const tag = readVarint(message, at);
    const { number, kind, fixedBytes } = splitTag(tag.value);
    const first = kind === 'fixed' ? null : readVarint(message, tag.end);
    const start = first?.end ?? tag.end;
    const end = kind === 'varint' ? start : start + (kind === 'bytes' ? (first?.value ?? 0) : fixedBytes);
    if (end > message.length) throw new RangeError('a protobuf field is longer than its message');
    const bytes = kind === 'bytes' ? message.subarray(start, end) : none;
    yield { number, bytes, value: kind === 'varint' ? (first?.value ?? 0) : 0, raw: message.subarray(at, end) };
    at = end;
  }
}

/** The text of a field's bytes. */
export function textOf(field: Field): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(field.bytes);
}
