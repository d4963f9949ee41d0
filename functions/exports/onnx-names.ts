/** ONNX messages written anew under other names: what lets graphs with the same inner names live in one. */
import { bytesField, concat, fieldsOf, messageField, textField, textOf, type Field } from './protobuf.ts';

const copy = (field: Field): Uint8Array => field.raw;

/** A message with some of its fields written anew; `change` answers the new field, or null to leave it out. */
export function rewrite(message: Uint8Array, change: (field: Field) => Uint8Array | null): Uint8Array {
  return concat([...fieldsOf(message)].flatMap((field) => change(field) ?? []));
}

/** TensorProto: its name (8) and where its weights are (13, an entry `location`). */
export function renameTensor(tensor: Uint8Array, rename: (name: string) => string, data: string | null): Uint8Array {
  return rewrite(tensor, (field) => {
    if (field.number === 8) return textField(8, rename(textOf(field)));
    if (field.number !== 13) return copy(field);
    const isLocation = [...fieldsOf(field.bytes)].some((part) => part.number === 1 && textOf(part) === 'location');
    if (!isLocation) return copy(field);
    if (data === null) throw new RangeError('the graph refers to a file of weights that it does not have');
    return messageField(13, [textField(1, 'location'), textField(2, data)]);
  });
}

/** AttributeProto: tensors in it may have their weights outside; graphs in it would have names of their own. */
function renameAttribute(attribute: Uint8Array, data: string | null): Uint8Array {
  return rewrite(attribute, (field) => {
    if (field.number === 6 || field.number === 11) throw new RangeError('a graph with inner graphs cannot be merged');
    return field.number === 5
      ? bytesField(
          5,
          renameTensor(field.bytes, (name) => name, data),
        )
      : copy(field);
  });
}

/** NodeProto: inputs (1), outputs (2), name (3), attributes (5). */
export function renameNode(node: Uint8Array, rename: (name: string) => string, prefix: string, data: string | null): Uint8Array {
  return rewrite(node, (field) => {
    if (field.number === 1 || field.number === 2) return textField(field.number, rename(textOf(field)));
    if (field.number === 3) return textField(3, prefix + textOf(field));
    return field.number === 5 ? bytesField(5, renameAttribute(field.bytes, data)) : copy(field);
  });
}
