/**
 * The part of protobuf's wire format that an ONNX file needs: varints, fixed 32-bit floats and length-delimited fields.
 * Written by hand (a page) because the kept libraries build whole object trees first and copy every weight, while here
 * a weight's bytes go by reference until the one final copy.
 *
 * @module
 */

const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

const encoder = new TextEncoder();

/** Appends fields of one message. `finish` may be called once everything is in. */
export class MessageWriter {
  #chunks: Uint8Array[] = [];
  #small: number[] = [];
  #size = 0;

  /** An int64/int32/enum field. Negative numbers take ten bytes, as protobuf demands. */
  integer(field: number, value: number | bigint): this {
    this.#tag(field, VARINT);
    this.#varint(BigInt.asUintN(64, BigInt(value)));
    return this;
  }

  float(field: number, value: number): this {
    this.#tag(field, FIXED32);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#small.push(...bytes);
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, encoder.encode(value));
  }

  /** Raw bytes, kept by reference until `finish`. */
  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, LENGTH_DELIMITED);
    this.#varint(BigInt(value.byteLength));
    this.#append(value);
    return this;
  }

  message(field: number, value: MessageWriter): this {
    this.#tag(field, LENGTH_DELIMITED);
    this.#varint(BigInt(value.size));
    this.#flush();
    value.#flush();
    for (const chunk of value.#chunks) this.#append(chunk);
    return this;
  }

  /** Repeated integers, unpacked: every ONNX reader takes both forms. */
  integers(field: number, values: readonly number[]): this {
    for (const value of values) this.integer(field, value);
    return this;
  }

  floats(field: number, values: readonly number[]): this {
    for (const value of values) this.float(field, value);
    return this;
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#size + this.#small.length;
  }

  finish(): Uint8Array {
    this.#flush();
    const result = new Uint8Array(this.#size);
    let offset = 0;
    for (const chunk of this.#chunks) {
      result.set(chunk, offset);
      offset += chunk.byteLength;
    }
    return result;
  }

  #tag(field: number, wireType: number): void {
    this.#varint(BigInt((field << 3) | wireType));
  }

  #varint(value: bigint): void {
    let rest = value;
    while (rest >= 0x80n) {
      this.#small.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.#small.push(Number(rest));
  }

  #append(chunk: Uint8Array): void {
    this.#flush();
    this.#chunks.push(chunk);
    this.#size += chunk.byteLength;
  }

  #flush(): void {
    if (this.#small.length === 0) return;
    const chunk = Uint8Array.from(this.#small);
    this.#small = [];
    this.#chunks.push(chunk);
    this.#size += chunk.byteLength;
  }
}
