/** The tail of a network that was not cut in two: whatever comes, as one row. With it an added network is a backbone like any other. */
import { intField, messageField, concat, textField } from './protobuf.ts';

/** ONNX 1.12, as heads have. */
const IR_VERSION = 8;
const FLOAT = 1;

/** `features` of any shape with a first side of 1 → `embedding` [1, d], an ONNX file of the operator set that the trunk uses. */
export function flattenGraph(opset: number): Uint8Array {
  const type = messageField(2, [messageField(1, [intField(1, FLOAT)])]);
  const node = messageField(1, [textField(1, 'features'), textField(2, 'embedding'), textField(4, 'Flatten')]);
  const graph = messageField(7, [
    node,
    textField(2, 'flatten'),
    messageField(11, [textField(1, 'features'), type]),
    messageField(12, [textField(1, 'embedding'), type]),
  ]);
  return concat([intField(1, IR_VERSION), textField(2, 'graft'), graph, messageField(8, [textField(1, ''), intField(2, opset)])]);
}
