/** The edge's decoder and tokeniser, in the host: what is trained on is what is served. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { makeDecoder, type Decoder } from '../../shared/preprocess/decoder.ts';
import { makeTokenizer, type Tokenizer } from '../../shared/preprocess/wordpiece.ts';

const WASM = path.join(import.meta.dirname, '../../shared/preprocess/imgdec.wasm');

export async function loadDecoder(): Promise<Decoder> {
  return makeDecoder(await WebAssembly.compile(new Uint8Array(await readFile(WASM))));
}

export async function loadTokenizer(vocabulary: string): Promise<Tokenizer> {
  return makeTokenizer(await readFile(vocabulary, 'utf8'));
}
